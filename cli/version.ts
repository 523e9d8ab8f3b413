/** What `tlsboot version` tells. */
import { GIT_VERSION, KUBERNETES_VERSION, TLSBOOT_VERSION } from "../core/version.ts";

export { TLSBOOT_VERSION };

/** The versions, as `-o json` prints them; keys are only ever added. */
export interface VersionFacts {
  readonly version: string;
  /** The Kubernetes release whose API and clients this program speaks with. */
  readonly kubernetesVersion: string;
  /** What our own API server answers at `/version`. */
  readonly gitVersion: string;
}

/** The versions of this program. */
export function getVersionFacts(): VersionFacts {
  return { version: TLSBOOT_VERSION, kubernetesVersion: KUBERNETES_VERSION, gitVersion: GIT_VERSION };
}
