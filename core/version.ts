/** Which tlsboot this is, and which Kubernetes it behaves like. */

/** The version of tlsboot; a test compares it with deno.json. */
export const TLSBOOT_VERSION = "0.1.0";

/** The Kubernetes release whose API this is (`gitVersion` without build metadata). */
export const KUBERNETES_VERSION = "v1.37.2";

/** What `/version` answers as `gitVersion`: the API's release with our own as build metadata (semver §10). */
export const GIT_VERSION = `${KUBERNETES_VERSION}+tlsboot.${TLSBOOT_VERSION}`;
