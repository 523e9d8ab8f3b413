/**
 * The commit of a build. Only the build runs git; a built program never does.
 *
 * `core/version.ts` reads the commit from a constant: esbuild defines it in the bundle of the single file (as a text, because
 * it imports an object into every script), and `defineBuild` renders it as the first line of the npm package's copy.
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { type BuildCommit, UNKNOWN_BUILD } from "../../core/version.ts";

/** The variables that replace git for builds without a checkout. */
interface BuildEnvironment {
  readonly TLSBOOT_BUILD_COMMIT?: string | undefined;
  /** The date of the build in seconds since 1970 (reproducible-builds.org/specs/source-date-epoch). */
  readonly SOURCE_DATE_EPOCH?: string | undefined;
}

/** Returns the commit and the date of the checkout in a folder; unknown without git and the variables. */
export function readBuildFacts(folder: string = process.cwd(), env: BuildEnvironment = process.env): BuildCommit {
  const git = (...args: readonly string[]): string | undefined => {
    const { status, stdout } = spawnSync("git", ["-C", folder, ...args], { encoding: "utf8" });
    return status === 0 ? stdout.trim() : undefined;
  };
  const { TLSBOOT_BUILD_COMMIT: commit, SOURCE_DATE_EPOCH: seconds } = env;
  return {
    commit: commit ?? findCommit(git) ?? UNKNOWN_BUILD.commit,
    date: toDate(seconds ?? git("log", "-1", "--format=%ct")) ?? UNKNOWN_BUILD.date,
  };
}

/** Formats the line that defines the commit of a built program. */
export function defineBuild({ commit, date }: BuildCommit): string {
  return `const TLSBOOT_BUILD = ${JSON.stringify(JSON.stringify({ commit, date }))};\n`;
}

/** Returns the date of a build in seconds since 1970, for archives; 0 if it is unknown. */
export function buildSeconds({ date }: BuildCommit): number {
  return date === UNKNOWN_BUILD.date ? 0 : Date.parse(date) / 1000;
}

function findCommit(git: (...args: readonly string[]) => string | undefined): string | undefined {
  const commit = git("rev-parse", "HEAD");
  return commit === undefined || git("status", "--porcelain", "--untracked-files=no") === ""
    ? commit
    : `${commit}-modified`;
}

function toDate(seconds: string | undefined): string | undefined {
  if (seconds === undefined) return undefined;
  if (!/^\d+$/.test(seconds)) throw new Error(`"${seconds}" is not a number of seconds`);
  return new Date(Number(seconds) * 1000).toISOString().replace(".000Z", "Z");
}
