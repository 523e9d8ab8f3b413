/** Which file of a release an upgrade takes, and whether there is a way back from it. */
import { isRecord, tryParseJson } from "../../../core/lib/record.ts";
import { err, ok, type Result } from "../../../core/lib/result.ts";
import type { Release } from "../../release.ts";

export interface ReleasedFile {
  readonly name: string;
  readonly version: string;
  /** The SHA-256 of its bytes, in hexadecimal. */
  readonly hash: string;
}

/** What a file answers to `version -o json`, as far as an upgrade asks. */
export interface NewFacts {
  readonly version: string;
  /** The format that it writes of each kind of data, by the kind. */
  readonly formats: Readonly<Record<string, number>>;
}

/**
 * Finds the file for a platform, such as `linux-x64`. The error says why there is none: the release is for other machines,
 * or older than `installed`. A release goes by the version in its signed name, so that no file of another one passes.
 */
export function findReleasedFile(
  { name, hashes }: Release,
  { platform, installed }: { readonly platform: string; readonly installed: string },
): Result<ReleasedFile, string> {
  const [, version] = /^tlsboot ((?:\d+\.){2}\d\S*)$/.exec(name) ?? [];
  if (version === undefined) return err(`the signature is for "${name}", which is no release of tlsboot`);
  if (compareVersions(version, installed) < 0) return err(`${name} is older than this file, which is ${installed}`);
  const prefix = `tlsboot-${version}-`;
  const hash = hashes.get(`${prefix}${platform}`);
  if (hash !== undefined) return ok({ name: `${prefix}${platform}`, version, hash });
  const others = [...hashes.keys()].filter((file) => file.startsWith(prefix) && !file.includes("image"));
  return err(`${name} has no file for ${platform}${others.length === 0 ? "" : `, only ${others.join(", ")}`}`);
}

/** Where the header of an ELF file names its kind and its processor (elf(5): `EI_MAG` to `EI_DATA`, `e_machine`). */
const ELF_FIELDS = [[0, 6], [18, 20]] as const;

/**
 * Reports whether two files are programs for the same processor. A program of another one must not be started for a test:
 * where the kernel refuses it, the C library gives it to a shell (`execvp`).
 */
export function isForSameProcessor(one: Uint8Array, other: Uint8Array): boolean {
  return ELF_FIELDS.every(([start, end]) =>
    one.length >= end && one.subarray(start, end).every((byte, index) => byte === other[start + index])
  );
}

/** Parses what a file answered to `version -o json`; undefined when it is no answer of tlsboot. */
export function parseFacts(text: string): NewFacts | undefined {
  const facts = tryParseJson(text);
  if (!isRecord(facts) || typeof facts["version"] !== "string" || !isRecord(facts["formats"])) return undefined;
  const formats = Object.entries(facts["formats"]).filter((entry): entry is [string, number] =>
    typeof entry[1] === "number"
  );
  return { version: facts["version"], formats: Object.fromEntries(formats) };
}

/** Lists the kinds of data that a newer file writes in a format which the installed one cannot read. */
export function findRaisedFormats(installed: NewFacts["formats"], { formats }: NewFacts): readonly string[] {
  return Object.entries(formats).filter(([kind, format]) => format > (installed[kind] ?? 0)).map(([kind, format]) =>
    `${kind} from ${installed[kind] ?? 0} to ${format}`
  );
}

/** Compares versions by their three numbers; what follows them is a build of the same release. */
function compareVersions(one: string, other: string): number {
  const [a, b] = [one, other].map((version) => version.split(/[.+-]/, 3).map(Number)) as [number[], number[]];
  return a.map((number, index) => number - (b[index] ?? 0)).find((difference) => difference !== 0) ?? 0;
}
