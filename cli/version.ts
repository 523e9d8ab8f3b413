/** What `tlsboot version` tells. */
import { GIT_VERSION, KUBERNETES_VERSION, TLSBOOT_VERSION } from "../core/version.ts";
import { BUILD } from "./build.ts";

export { TLSBOOT_VERSION };

/** The versions, as `-o json` prints them; keys are only ever added. */
export interface VersionFacts {
  readonly version: string;
  /** The Kubernetes release whose API and clients this program speaks with. */
  readonly kubernetesVersion: string;
  /** What our own API server answers at `/version`. */
  readonly gitVersion: string;
  /** The commit that this program was built from; `unknown` when the sources run as they are. */
  readonly commit: string;
  /** The time of that commit. */
  readonly buildDate: string;
  readonly runtime: Runtime;
  /** Absent on Deno, which has none: the version that it gives is Node's. */
  readonly opensslVersion?: string;
}

/** What runs the program: inside the single file, or beside the sources. */
export interface Runtime {
  readonly name: "Node" | "Deno";
  readonly version: string;
}

/** Versions by name, as the runtime tells them (`process.versions`). */
export type RuntimeVersions = Readonly<Record<string, string | undefined>>;

/** The runtime that tells these versions. */
export function getRuntime({ deno, node = "unknown" }: RuntimeVersions): Runtime {
  return deno === undefined ? { name: "Node", version: node } : { name: "Deno", version: deno };
}

/** The versions of this program and of what runs it. */
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
