/** PEM blocks. The reader accepts what Go's `encoding/pem` accepts; the writer uses 64 columns (RFC 7468). */
import { decodeBase64, encodeBase64 } from "../../lib/encodings.ts";

/** One block: its label, its RFC 1421 headers and the decoded bytes. */
export interface PemBlock {
  readonly label: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const BEGIN = "-----BEGIN ";
const END = "\n-----END ";
const DASHES = "-----";

/**
 * Finds the first well-formed block and the text after it; undefined when there is none. Text before the block, headers
 * and blocks with malformed base64 are skipped, as in Go's `pem.Decode`. `pkg/apis/certificates/helpers.go` ParseCSR uses
 * only the first block.
 */
export function findPemBlock(text: string): { readonly block: PemBlock; readonly rest: string } | undefined {
  let from = 0;
  while (true) {
    const end = text.indexOf(END, from);
    if (end < 0) return undefined;
    const trailer = end + END.length;
    // Starts at the last BEGIN before this END, so that a BEGIN without an END is skipped. The text is cut first, so
    // that the search stays linear.
    const offset = text.slice(from, end).lastIndexOf(BEGIN);
    if (offset === 0 || (offset > 0 && text[from + offset - 1] === "\n")) {
      const found = readBlock(text, from + offset + BEGIN.length, end);
      if (found === "end of text") return undefined;
      if (found !== "malformed") return found;
    }
    from = trailer;
  }
}

/** Finds every well-formed block, in order. */
export function parsePemBlocks(text: string): readonly PemBlock[] {
  const blocks: PemBlock[] = [];
  let found = findPemBlock(text);
  while (found !== undefined) {
    blocks.push(found.block);
    found = findPemBlock(found.rest);
  }
  return blocks;
}

/** Finds the first block with a private key in any format, even an encrypted one. */
export function findKeyBlock(text: string): PemBlock | undefined {
  return parsePemBlocks(text).find(({ label }) => label === "PRIVATE KEY" || label.endsWith(" PRIVATE KEY"));
}

/** Encodes one PEM block without headers, in 64 columns and with a trailing newline. */
export function encodePem(label: string, bytes: Uint8Array): string {
  const base64 = encodeBase64(bytes);
  let lines = "";
  for (let at = 0; at < base64.length; at += 64) lines += base64.slice(at, at + 64) + "\n";
  return `${BEGIN}${label}${DASHES}\n${lines}-----END ${label}${DASHES}\n`;
}

type Found = { readonly block: PemBlock; readonly rest: string } | "malformed" | "end of text";

/** Reads the block whose label starts at `start` and whose END line follows the newline at `end`. */
function readBlock(text: string, start: number, end: number): Found {
  const first = readLine(text, start);
  if (!first.line.endsWith(DASHES)) return "malformed";
  const label = first.line.slice(0, -DASHES.length);

  const headers: [string, string][] = [];
  let body = first.next;
  while (true) {
    if (body >= text.length) return "end of text";
    const { line, next } = readLine(text, body);
    const colon = line.indexOf(":");
    if (colon < 0) break;
    headers.push([line.slice(0, colon).trim(), line.slice(colon + 1).trim()]);
    body = next;
  }
  const trailer = end + END.length;
  if (body > trailer) return "end of text";
  // Without headers, the newline of an empty block's BEGIN line is also the one before END.
  if (headers.length > 0 && body > end) return "malformed";
  if (!text.startsWith(label + DASHES, trailer)) return "malformed";
  const last = readLine(text, trailer + label.length + DASHES.length);
  if (last.line !== "") return "malformed";

  const bytes = decodeBase64(text.slice(body, Math.max(body, end)).replace(/[ \t]/g, ""));
  if (bytes === undefined) return "malformed";
  return { block: { label, headers: Object.fromEntries(headers), bytes }, rest: text.slice(last.next) };
}

/** Reads the line at `start` without its line break and trailing blanks, and finds the start of the next one. */
function readLine(text: string, start: number): { readonly line: string; readonly next: number } {
  const newline = text.indexOf("\n", start);
  const stop = newline < 0 ? text.length : newline;
  let last = newline > start && text[stop - 1] === "\r" ? stop - 1 : stop;
  while (last > start && (text[last - 1] === " " || text[last - 1] === "\t")) last--;
  return { line: text.slice(start, last), next: newline < 0 ? text.length : newline + 1 };
}
