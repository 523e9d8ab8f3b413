/** From which commit this program was made: put in when it is built, unknown when the sources run as they are. */

/** The commit of a build. */
export interface BuildCommit {
  /** The whole hash; with `-modified` behind it when the sources were not those of the commit. */
  readonly commit: string;
  /** When it was committed, in UTC: `2026-01-31T12:00:00Z`. The same sources thus give the same program. */
  readonly date: string;
}

/** Written in front of the built module by `defineBuild` of scripts/_build_facts.ts. */
declare const TLSBOOT_BUILD: BuildCommit | undefined;

/** What sources that run as they are say of themselves. */
export const UNKNOWN_BUILD: BuildCommit = { commit: "unknown", date: "unknown" };

/** The commit of this program. */
export const BUILD: BuildCommit = typeof TLSBOOT_BUILD === "undefined" ? UNKNOWN_BUILD : TLSBOOT_BUILD;
