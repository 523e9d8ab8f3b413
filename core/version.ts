/** The versions of tlsboot and of the Kubernetes API that it implements. */

/** The version of tlsboot; a test compares it with deno.json. */
export const TLSBOOT_VERSION = "0.1.0";

/** The Kubernetes release whose API tlsboot implements (`gitVersion` without build metadata). */
export const KUBERNETES_VERSION = "v1.37.2";

/** The API version of tlsboot's own kinds and files: issued certificates, policies, profiles, the configuration file. */
export const TLSBOOT_API_VERSION = "tlsboot/v1alpha1";

/** The `gitVersion` in the response of `/version`: the API's release with tlsboot's own as build metadata (semver §10). */
export const GIT_VERSION = `${KUBERNETES_VERSION}+tlsboot.${TLSBOOT_VERSION}`;
