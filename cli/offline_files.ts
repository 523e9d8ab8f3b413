/** What the commands that work without a network have in common: bundles in files and on paper, and the next steps. */
import { Buffer } from "node:buffer";
import { join, resolve } from "node:path";
import { AppError } from "../core/errors.ts";
import type { Result } from "../core/lib/result.ts";
import { type BundleKind, findBundleKind } from "../core/offline/bundle.ts";
import { encodeQrTexts, hasQrTexts, MAX_QR_TEXTS, readQrTexts } from "../core/offline/armor.ts";
import type { PublicKeyPin } from "../core/pki/keys/public_key_pin.ts";
import { FOLDER_MODE, PUBLIC_MODE } from "../instance/data_dir.ts";
import type { Io, Tools } from "./io.ts";
import { displayPath, pathWord, readInput } from "./output/files.ts";
import { escapeText, line } from "../core/lib/printable.ts";
import { renderQrDocument } from "./output/qr_pages.ts";

/** The largest text; ten thousand answers with their chains have half of it. */
const MAX_BYTES = 128 * 1_048_576;
/** The largest number of faults that a message lists. */
const MAX_FAULTS = 20;
/** The largest number of names on a page. */
const MAX_NAMES = 6;

const WORDS: Readonly<Record<BundleKind, { readonly from: string; readonly title: string; readonly reader: string }>> =
  {
    requests: {
      from: "tlsboot offline export",
      title: "Certificate requests",
      reader: "tlsboot sign FILE, on the machine of the CA",
    },
    answers: { from: "tlsboot sign", title: "Certificates", reader: "tlsboot offline import FILE" },
  };

/** Reads the text of a file, or of stdin for `-`. AppError `io`, `invalid`. */
export async function readBundleText(file: string, tools: Tools): Promise<string> {
  // Latin-1 keeps the bytes of the mail around the bundle.
  return Buffer.from(await readInput(file, MAX_BYTES, tools)).toString("latin1");
}

/** Reports whether a text holds a bundle, in whichever form. */
export function isBundleText(text: string): boolean {
  return findBundleKind(text) !== undefined || hasQrTexts(text);
}

/**
 * Reads a bundle from a file, a saved mail, or the lines that a scanner typed, with `read`. Throws AppError `invalid` with the
 * names of all that is missing or altered.
 */
export function openBundleText<T>(
  kind: BundleKind,
  read: (text: string) => Result<T, readonly string[]>,
  text: string,
  file: string,
): T {
  const { from } = WORDS[kind];
  const take = <U>(result: Result<U, readonly string[]>, hint: string): U => {
    if (result.ok) return result.value;
    const more = result.error.length - MAX_FAULTS;
    const faults = [...result.error.slice(0, MAX_FAULTS), ...(more > 0 ? [`and ${more} more`] : [])];
    const list = faults.length === 1 ? ` ${faults[0]}` : faults.map((fault) => `\n  ${fault}`).join("");
    throw new AppError("invalid", `cannot read ${kind} from "${file}":${list}`, { hint });
  };
  const isScanned = findBundleKind(text) === undefined && hasQrTexts(text);
  const bundle = isScanned
    ? take(readQrTexts(text), "scan these codes too, into the same file; the order does not matter")
    : text;
  const present = findBundleKind(bundle);
  if (present === kind) return take(read(bundle), `send the file again, as it was written: ${from} wrote it`);
  const other = present === undefined ? "" : `: it holds ${present}, as ${WORDS[present].from} writes them`;
  throw new AppError("invalid", `cannot read ${kind} from "${file}"${other}`, {
    hint: `give the file that ${from} wrote`,
  });
}

interface PrintedBundle {
  readonly kind: BundleKind;
  readonly text: string;
  /** The id of the export, or of the answered requests. */
  readonly id: string;
  /** Names and values for the head of each page. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly names: readonly string[];
}

/** Writes a bundle as pages of QR codes into a folder. Throws AppError `invalid` for a bundle that needs too many codes. */
export async function writeQrPages(
  folder: string,
  { kind, text, id, facts, names }: PrintedBundle,
  { files, cwd, stderr }: Tools,
): Promise<void> {
  const texts = encodeQrTexts(text);
  if (texts === undefined) {
    throw new AppError("invalid", `cannot print the ${kind} as QR codes: they need more than ${MAX_QR_TEXTS}`, {
      hint: "carry them as a file, or export fewer requests at once",
    });
  }
  const { title, reader } = WORDS[kind];
  const more = names.length - MAX_NAMES;
  const html = renderQrDocument({
    title,
    facts: [...facts, ["For", names.slice(0, MAX_NAMES).join(", ") + (more > 0 ? ` and ${more} more` : "")]],
    advice: `Scan every code into one file FILE, in any order, and give it to ${reader}.`,
    texts,
  });
  const path = join(resolve(cwd, folder), `${kind}-${id.slice(0, 8)}.html`);
  await files.makeDirectory(resolve(cwd, folder), FOLDER_MODE);
  await files.writeAtomic(path, html, PUBLIC_MODE);
  const count = texts.length === 1 ? "1 code" : `${texts.length} codes`;
  stderr.write(line`${displayPath(path, cwd)}: ${count} to print\n`);
}

/** Prints how a request on a stick gets its answer. */
export function reportNextSteps(folder: string, command: string, io: Pick<Io, "stderr" | "cwd">): void {
  io.stderr.write(escapeText(
    `carry the folder to the CA and run there: tlsboot sign ${pathWord(resolve(io.cwd, folder), io.cwd)}
then bring it back and run here: ${command}\n`,
  ));
}

/** Prints the hash of a CA that was trusted because nothing was known about it. */
export function reportFirstTrust(ca: PublicKeyPin, io: Pick<Io, "stderr">): void {
  io.stderr.write(
    `the CA of the answer is trusted from now on; compare its hash with what tlsboot ca show prints on the machine of the CA:\n${ca}\n`,
  );
}
