/** The versions of tlsboot, of its runtime and of the Kubernetes API that it implements, and the commit of the build. */

/** The version of tlsboot; a test compares it with deno.json. */
export const TLSBOOT_VERSION = "0.1.0";

/** The Kubernetes release whose API tlsboot implements (`gitVersion` without build metadata). */
export const KUBERNETES_VERSION = "v1.37.2";

/** The API version of tlsboot's own kinds and files: issued certificates, policies, profiles, the configuration file. */
export const TLSBOOT_API_VERSION = "tlsboot/v1alpha1";

/** The `gitVersion` in the response of `/version`: the API's release with tlsboot's own as build metadata (semver §10). */
export const GIT_VERSION = `${KUBERNETES_VERSION}+tlsboot.${TLSBOOT_VERSION}`;

/** The User-Agent header. Kubernetes uses the part before the slash as the field manager. */
export const USER_AGENT = `tlsboot/${TLSBOOT_VERSION}`;

/** The commit that a build was made from. */
export interface BuildCommit {
  /** The full hash, followed by `-modified` when the sources differed from the commit. */
  readonly commit: string;
  /**
   * The time of the commit in UTC: `2026-01-31T12:00:00Z`. The time of the build is not used, so that the same sources
   * always give the same program.
   */
  readonly date: string;
}

/** The JSON of a BuildCommit, which `defineBuild` of scripts/build/facts.ts writes in front of the built module. */
declare const TLSBOOT_BUILD: string | undefined;

/** The value for sources that run directly, without a build. */
export const UNKNOWN_BUILD: BuildCommit = { commit: "unknown", date: "unknown" };

/** The commit that this program was built from, or {@link UNKNOWN_BUILD}. */
export const BUILD: BuildCommit = typeof TLSBOOT_BUILD === "undefined" ? UNKNOWN_BUILD : JSON.parse(TLSBOOT_BUILD);

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
