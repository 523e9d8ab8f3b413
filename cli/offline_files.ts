/**
 * Reads bundles of the commands that work without a network, prints the next steps, and writes bundles as QR codes to
 * print: one HTML document without external scripts, fonts and images, which any browser can print.
 */
import { Buffer } from "node:buffer";
import { join, resolve } from "node:path";
import { AppError } from "../core/errors.ts";
import type { Result } from "../core/lib/result.ts";
import { type BundleKind, findBundleKind } from "../core/offline/bundle.ts";
import { encodeQrTexts, hasQrTexts, MAX_QR_TEXTS, readQrTexts } from "../core/offline/armor.ts";
import type { PublicKeyPin } from "../core/pki/keys/key_names.ts";
import { FOLDER_MODE, PUBLIC_MODE } from "../client/files.ts";
import type { Io, Tools } from "./io.ts";
import { displayPath, pathWord, readInput } from "./output/files.ts";
import { escapeText, line } from "../core/lib/printable.ts";
import { encodeQR } from "qr";
import { escapeHtml } from "./output/escape.ts";

/** The size limit of a text. Ten thousand answers with their chains need half of it. */
const MAX_BYTES = 128 * 1_048_576;
/** The largest number of faults in a message. */
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

/** Reads the text of a file, or of stdin for `-`. Throws AppError `io` or `invalid`. */
export async function readBundleText(file: string, tools: Tools): Promise<string> {
  // Latin-1 preserves the bytes of the email around the bundle.
  return Buffer.from(await readInput(file, MAX_BYTES, tools)).toString("latin1");
}

/** Reports whether a text contains a bundle, as it was written or as scanned QR codes. */
export function isBundleText(text: string): boolean {
  return findBundleKind(text) !== undefined || hasQrTexts(text);
}

/**
 * Reads a bundle with `read` from a file, a saved email, or the lines that a scanner typed. Throws AppError `invalid` with
 * all missing and altered parts.
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
  const other = present === undefined ? "" : `: it contains ${present}, as ${WORDS[present].from} writes them`;
  throw new AppError("invalid", `cannot read ${kind} from "${file}"${other}`, {
    hint: `give the file that ${from} wrote`,
  });
}

interface PrintedBundle {
  readonly kind: BundleKind;
  readonly text: string;
  /** The id of the export or of the answered bundle. */
  readonly id: string;
  /** Names and values to print at the top of each page. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly names: readonly string[];
}

/** Writes a bundle as pages of QR codes to a folder. Throws AppError `invalid` for a bundle that needs too many codes. */
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

/** Prints how to get the answer to a request on a stick. */
export function reportNextSteps(folder: string, command: string, io: Pick<Io, "stderr" | "cwd">): void {
  io.stderr.write(escapeText(
    `carry the folder to the CA and run there: tlsboot sign ${pathWord(resolve(io.cwd, folder), io.cwd)}
then bring it back and run here: ${command}\n`,
  ));
}

/** Prints the hash of a CA that was trusted on first use. */
export function reportFirstTrust(ca: PublicKeyPin, io: Pick<Io, "stderr">): void {
  io.stderr.write(
    `the CA of the answer is now trusted; compare its hash with the output of tlsboot ca show on the CA's machine:\n${ca}\n`,
  );
}

/** The text of each page, and the content of the codes. */
interface QrDocument {
  readonly title: string;
  /** Names and values, such as `Exported: 2026-11-28T08:00:00Z`. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** The sentence on each page about what to do with it. */
  readonly advice: string;
  readonly texts: readonly string[];
}

/** The number of codes on a page of A4 or Letter, two in a row. */
const CODES_PER_PAGE = 6;
/** The number of empty modules around a code (ISO/IEC 18004 section 6.3.8). */
const QUIET_ZONE = 4;

const STYLE = "body{font:9pt/1.3 sans-serif;margin:0}section{break-after:page;padding:0 0 1mm}" +
  "h1{font-size:12pt;margin:0 0 1mm}p{margin:0 0 1mm}dl{margin:0 0 2mm}dt,dd{display:inline;margin:0}" +
  "dd{overflow-wrap:anywhere}dd::after{content:' \\00a0 '}dt{font-weight:bold}" +
  ".codes{display:grid;grid-template-columns:1fr 1fr;gap:2mm 12mm}" +
  "figure{margin:0;break-inside:avoid}svg{display:block;width:66mm;height:66mm}figcaption{font-weight:bold}" +
  "@page{margin:10mm}";

/** Renders a document with six codes on each page, numbered from 1. */
export function renderQrDocument({ title, facts, advice, texts }: QrDocument): string {
  const pages = Math.ceil(texts.length / CODES_PER_PAGE);
  const head = facts.map(([name, value]) => `<dt>${escapeHtml(name)}:</dt> <dd>${escapeHtml(value)}</dd>`).join("\n");
  const sections = Array.from({ length: pages }, (_, page) => {
    const from = page * CODES_PER_PAGE;
    const codes = texts.slice(from, from + CODES_PER_PAGE).map((text, at) => {
      const caption = `${from + at + 1} of ${texts.length}`;
      return `<figure>${renderQrSvg(text)}<figcaption>${caption}</figcaption></figure>`;
    });
    return [
      `<section><h1>${escapeHtml(title)}, page ${page + 1} of ${pages}</h1>`,
      `<p>${escapeHtml(advice)}</p>`,
      `<dl>${head}</dl>`,
      `<div class="codes">`,
      ...codes,
      `</div></section>`,
    ].join("\n");
  });
  return [
    "<!DOCTYPE html>",
    `<html lang="en"><head><meta charset="utf-8"><title>${
      escapeHtml(title)
    }</title><style>${STYLE}</style></head><body>`,
    ...sections,
    "</body></html>",
    "",
  ].join("\n");
}

/** Renders a code as SVG: one path, with a rectangle for each run of dark modules in a row. */
function renderQrSvg(text: string): string {
  const rows = encodeQR(text, "raw", { ecc: "medium", encoding: "alphanumeric", border: QUIET_ZONE });
  let path = "";
  for (const [y, row] of rows.entries()) {
    for (let x = 0; x < row.length; x++) {
      if (row[x] !== true) continue;
      const from = x;
      while (row[x + 1] === true) x++;
      path += `M${from} ${y}h${x - from + 1}v1h-${x - from + 1}z`;
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${rows.length} ${rows.length}" ` +
    `shape-rendering="crispEdges"><path d="${path}"/></svg>`;
}
