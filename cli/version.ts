/** The versions that `tlsboot version` prints. */
import {
  BUILD,
  getRuntime,
  GIT_VERSION,
  KUBERNETES_VERSION,
  type Runtime,
  type RuntimeVersions,
  TLSBOOT_VERSION,
} from "../core/version.ts";

/** The versions, as `-o json` prints them; keys are only ever added. */
export interface VersionFacts {
  readonly version: string;
  /** The Kubernetes release whose API this program implements and uses. */
  readonly kubernetesVersion: string;
  /** The version that our API server reports at `/version`. */
  readonly gitVersion: string;
  /** The commit that this program was built from; `unknown` when the sources run directly. */
  readonly commit: string;
  /** The time of that commit. */
  readonly buildDate: string;
  readonly runtime: Runtime;
  /** Absent on Deno, which does not contain OpenSSL: the version that it reports is Node's. */
  readonly opensslVersion?: string;
}

export function getVersionFacts(versions: RuntimeVersions): VersionFacts {
  const runtime = getRuntime(versions);
  return {
    version: TLSBOOT_VERSION,
    kubernetesVersion: KUBERNETES_VERSION,
    gitVersion: GIT_VERSION,
    commit: BUILD.commit,
    buildDate: BUILD.date,
    runtime,
    ...(runtime.name === "Deno" || versions["openssl"] === undefined ? {} : { opensslVersion: versions["openssl"] }),
  };
}
