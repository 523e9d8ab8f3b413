/** The versions of the program: what `tlsboot version` prints, and what API servers read. */
import { GIT_VERSION, KUBERNETES_VERSION, TLSBOOT_VERSION } from "../core/version.ts";
import { BUILD, type BuildCommit, UNKNOWN_BUILD } from "./build.ts";

/** The User-Agent header. Kubernetes uses the part before the slash as the field manager. */
export const USER_AGENT = `tlsboot/${TLSBOOT_VERSION}`;

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

/** The JavaScript runtime of the program, inside the single file or installed separately. */
export interface Runtime {
  readonly name: "Node" | "Deno";
  readonly version: string;
}

/** Versions by name, as the runtime reports them (`process.versions`). */
export type RuntimeVersions = Readonly<Record<string, string | undefined>>;

/** Recognizes the runtime by the versions that it reports. */
export function getRuntime({ deno, node = "unknown" }: RuntimeVersions): Runtime {
  return deno === undefined ? { name: "Node", version: node } : { name: "Deno", version: deno };
}

/** Collects the versions of this program and of its runtime. */
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

/** The system that a program runs on, in Node's words. */
export interface HostSystem {
  readonly platform: string;
  readonly arch: string;
  readonly versions: RuntimeVersions;
}

/**
 * Describes the API server, as `/version` answers: the Kubernetes release of the API, with the tlsboot release as build
 * metadata. What Go calls its version and compiler are those of the JavaScript runtime here.
 */
export function createVersionInfo(
  { commit, date }: BuildCommit,
  { platform, arch, versions }: HostSystem,
): Readonly<Record<string, string>> {
  const runtime = getRuntime(versions);
  const isKnown = commit !== UNKNOWN_BUILD.commit;
  return {
    major: "1",
    minor: "37",
    emulationMajor: "1",
    emulationMinor: "37",
    minCompatibilityMajor: "1",
    minCompatibilityMinor: "36",
    gitVersion: GIT_VERSION,
    gitCommit: isKnown ? commit.replace(/-modified$/, "") : "",
    gitTreeState: !isKnown ? "" : commit.endsWith("-modified") ? "dirty" : "clean",
    buildDate: date === UNKNOWN_BUILD.date ? "1970-01-01T00:00:00Z" : date,
    goVersion: `${runtime.name.toLowerCase()}${runtime.version}`,
    compiler: "v8",
    platform: `${GO_NAMES.get(platform) ?? platform}/${GO_NAMES.get(arch) ?? arch}`,
  };
}

/** The names of systems and processors that Go calls differently. */
const GO_NAMES: ReadonlyMap<string, string> = new Map([["win32", "windows"], ["x64", "amd64"]]);
