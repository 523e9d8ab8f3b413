/**
 * A bundle as texts for QR codes, which a scanner types as lines in any order. Each text has only characters of the
 * alphanumeric mode (ISO/IEC 18004), and no punctuation, which a keyboard with another layout would change:
 *
 *     TLSB1 DOCUMENT NNNN TTTT CHECKSUM DATA      without the spaces
 *
 * DOCUMENT is the checksum of the whole and the same in all texts, NNNN the number of the code and TTTT that of all codes,
 * CHECKSUM that of this text, and DATA a piece of the compressed bundle in base32.
 */
import { Buffer } from "node:buffer";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { err, ok, type Result } from "../lib/result.ts";
import { decodeBase32, encodeBase32 } from "../lib/encodings.ts";
import { checksum } from "./armor.ts";

/** The number of texts is written with four digits. */
export const MAX_QR_TEXTS = 9_999;
/**
 * The bytes in one code: 885 characters with the header, which is QR version 19 at the medium error correction. Its 93
 * modules are 0.65 mm wide with six codes on a page of A4 or Letter, so that a phone or a cheap scanner reads a copy.
 */
const PIECE_BYTES = 535;
/** More than a bundle of the largest size has; it limits what a crafted code can expand to. */
const MAX_INFLATED_BYTES = 64 * 1_048_576;
const START = "TLSB1";
const TEXT = /^TLSB1([A-Z2-7]{8})(\d{4})(\d{4})([A-Z2-7]{8})([A-Z2-7]+)$/;

/** Divides the text of a bundle into the texts of its codes; undefined when it needs more than `MAX_QR_TEXTS`. */
export function encodeQrTexts(bundle: string): readonly string[] | undefined {
  const bytes = deflateRawSync(Buffer.from(bundle, "latin1"), { level: 9 });
  const total = Math.ceil(bytes.length / PIECE_BYTES);
  if (total > MAX_QR_TEXTS) return undefined;
  const document = checksum(bytes);
  return Array.from({ length: total }, (_, at) => {
    const numbers = [at + 1, total].map((number) => String(number).padStart(4, "0")).join("");
    const data = encodeBase32(bytes.subarray(at * PIECE_BYTES, (at + 1) * PIECE_BYTES));
    return `${START}${document}${numbers}${sumText(document, numbers, data)}${data}`;
  });
}

/** Reports whether a text holds codes that were scanned, or the start of one. */
export function hasQrTexts(text: string): boolean {
  return /^[ \t"']*TLSB1[A-Z2-7]{8}/im.test(text);
}

/**
 * Reads the text of a bundle from the lines that a scanner typed. Blanks, empty lines, repeated codes and lines without
 * a code do not matter. The errors name the missing and misread codes.
 */
export function readQrTexts(text: string): Result<string, readonly string[]> {
  const pieces = new Map<number, Uint8Array>();
  const misread = new Set<string>();
  let document: string | undefined;
  let total = 0;
  for (const line of splitTexts(text)) {
    const [, of = "", number = "", count = "", sum, data = ""] = TEXT.exec(line) ?? [];
    const bytes = decodeBase32(data);
    if (bytes === undefined || of === "" || sumText(of, number + count, data) !== sum) {
      misread.add(number === "" ? "a code whose number cannot be read" : `code ${Number(number)} of ${Number(count)}`);
      continue;
    }
    document ??= of;
    total = Number(count);
    if (document !== of) return err(["the codes are of more than one bundle"]);
    pieces.set(Number(number), bytes);
  }
  if (document === undefined) {
    return err(misread.size === 0 ? ["it holds no codes"] : [...misread].map((name) => `${name} was misread`));
  }
  const faults: string[] = [];
  for (let number = 1; number <= total; number++) {
    const name = `code ${number} of ${total}`;
    if (!pieces.has(number)) faults.push(`${name} ${misread.has(name) ? "was misread" : "is missing"}`);
  }
  if (faults.length > 0) return err(faults);
  const ordered = Array.from({ length: total }, (_, at) => pieces.get(at + 1) ?? new Uint8Array(0));
  const bytes = Buffer.concat(ordered);
  const bundle = checksum(bytes) === document ? inflate(bytes) : undefined;
  return bundle === undefined ? err(["the codes do not hold a bundle"]) : ok(bundle);
}

/** Finds the texts in what was typed: upper case, one for each START, without the blanks in it. */
function splitTexts(text: string): readonly string[] {
  return text.toUpperCase().split("\n").flatMap((line) => {
    const compact = line.replace(/[\s"']/g, "");
    // No piece of a text holds START, because base32 has no 1; a scanner may not end its lines.
    return compact.split(/(?=TLSB1[A-Z2-7]{8}\d{8})/).filter((one) => one.startsWith(START));
  });
}

function sumText(document: string, numbers: string, data: string): string {
  return checksum(Buffer.from(`${document}${numbers}${data}`));
}

function inflate(bytes: Uint8Array): string | undefined {
  try {
    return inflateRawSync(bytes, { maxOutputLength: MAX_INFLATED_BYTES }).toString("latin1");
  } catch {
    return undefined;
  }
}
