/** Reads bundles from files, saved mails, and the lines that a scanner typed. */
import { resolve } from "node:path";
import { readNamedFile } from "../../../client/files.ts";
import { AppError } from "../../../core/errors.ts";
import type { Result } from "../../../core/lib/result.ts";
import {
  type BundleKind,
  findBundleKind,
  type OpenBundle,
  openBundle,
  readBundle,
} from "../../../core/offline/bundle.ts";
import { hasQrTexts, readQrTexts } from "../../../core/offline/qr_text.ts";
import type { Io } from "../../io.ts";

/** The largest text; ten thousand answers with their chains have half of it. */
const MAX_BYTES = 128 * 1_048_576;
/** The largest number of faults that a message lists. */
const MAX_FAULTS = 20;

const WORDS: Readonly<Record<BundleKind, { readonly what: string; readonly from: string }>> = {
  requests: { what: "requests", from: "tlsboot offline export" },
  answers: { what: "answers", from: "tlsboot sign" },
};

/** Reads the text of a file, or of stdin for `-`. AppError `io`, `invalid`. */
export async function readBundleText(file: string, io: Io, signal: AbortSignal): Promise<string> {
  if (file === "-") return await io.stdin.readAll(signal);
  const bytes = await readNamedFile(file, { path: resolve(io.cwd, file), maxBytes: MAX_BYTES }, signal);
  // Latin-1 keeps the bytes of the mail around the bundle.
  return bytes.toString("latin1");
}

/** Reports whether a text holds a bundle, in whichever form. */
export function isBundleText(text: string): boolean {
  return findBundleKind(text) !== undefined || hasQrTexts(text);
}

/** Opens a bundle of a kind. Throws AppError `invalid` with the names of all that is missing or altered. */
export function openBundleText(kind: BundleKind, text: string, file: string): OpenBundle {
  const { what, from } = WORDS[kind];
  const present = findBundleKind(text);
  if (present === undefined && hasQrTexts(text)) return openScanned(kind, text, file);
  if (present === undefined || present !== kind) {
    const other = present === undefined
      ? ""
      : `: it holds ${WORDS[present].what}, as ${WORDS[present].from} writes them`;
    throw new AppError("invalid", `cannot read ${what} from "${file}"${other}`, {
      hint: `give the file that ${from} wrote`,
    });
  }
  const bundle = readBundle(kind, text);
  const hint = `send the file again, as it was written: ${from} wrote it`;
  return takeOrThrow(bundle, what, file, hint);
}

function openScanned(kind: BundleKind, text: string, file: string): OpenBundle {
  const { what, from } = WORDS[kind];
  const scanned = readQrTexts(text);
  const hint = "scan these codes too, into the same file; the order does not matter";
  const { kind: present, parts } = takeOrThrow(scanned, what, file, hint);
  if (present === kind) return takeOrThrow(openBundle(parts), what, file, "print and scan the codes again");
  throw new AppError("invalid", `cannot read ${what} from "${file}": the codes are of ${WORDS[present].what}`, {
    hint: `scan the codes that ${from} wrote`,
  });
}

function takeOrThrow<T>(read: Result<T, readonly string[]>, what: string, file: string, hint: string): T {
  if (read.ok) return read.value;
  const more = read.error.length - MAX_FAULTS;
  const faults = [...read.error.slice(0, MAX_FAULTS), ...(more > 0 ? [`and ${more} more`] : [])];
  const list = faults.length === 1 ? ` ${faults[0]}` : faults.map((fault) => `\n  ${fault}`).join("");
  throw new AppError("invalid", `cannot read ${what} from "${file}":${list}`, { hint });
}
