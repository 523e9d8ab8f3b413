/** The commit that this program was built from. The build adds it; it is unknown when the sources run directly. */

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

/** Written in front of the built module by `defineBuild` of scripts/build/facts.ts. */
declare const TLSBOOT_BUILD: BuildCommit | undefined;

/** The value for sources that run directly, without a build. */
export const UNKNOWN_BUILD: BuildCommit = { commit: "unknown", date: "unknown" };

/** The commit that this program was built from, or {@link UNKNOWN_BUILD}. */
export const BUILD: BuildCommit = typeof TLSBOOT_BUILD === "undefined" ? UNKNOWN_BUILD : TLSBOOT_BUILD;
