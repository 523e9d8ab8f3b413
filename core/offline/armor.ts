/**
 * Readable text that survives e-mail: numbered parts with header lines and PEM blocks, in short 7-bit lines, each part
 * with a checksum. A reader accepts other line ends, trailing blanks, `>` quoting, quoted-printable `=3D`, empty lines
 * and text around the parts, and reports missing and altered parts. Checksums only detect accidents; the caller adds
 * signatures.
 *
 * The same text can travel as QR codes, which a scanner types as lines in any order. Each code has only characters of
 * the alphanumeric mode (ISO/IEC 18004), and no punctuation, which a keyboard with another layout would change:
 *
 *     TLSB1 DOCUMENT NNNN TTTT CHECKSUM DATA      without the spaces
 *
 * DOCUMENT is the checksum of the whole document, NNNN the number of the code, TTTT the number of codes, CHECKSUM the
 * checksum of this code, and DATA a piece of the compressed text in base32.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { decodeBase32, encodeBase32, encodeBase64 } from "../lib/encodings.ts";
import { encodePem, parsePemBlocks } from "../pki/asn1/pem.ts";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { err, ok, type Result } from "../lib/result.ts";

/** A PEM block without PEM headers. */
export interface ArmorBlock {
  readonly label: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The contents of one numbered part. */
export interface ArmorPart {
  /** Names are letters and hyphens; values are any text. A fault reports them if they could be read. */
  readonly headers: Readonly<Record<string, string>>;
  /** PEM blocks by their headings, which are words. */
  readonly sections: Readonly<Record<string, readonly ArmorBlock[]>>;
}

/** A part with its number, from 1, and the number of parts of its document. */
interface NumberedPart extends ArmorPart {
  readonly number: number;
  readonly total: number;
}

/** A reason why a text cannot be read. */
interface ArmorFault {
  /** The number of the part, from 1; undefined when it cannot be read, or when the fault is not one of a part. */
  readonly part: number | undefined;
  /** The headers of the part as far as they could be read. They are not protected by a checksum that matched. */
  readonly headers: Readonly<Record<string, string>>;
  /** A sentence without a period, such as `part 3 of 17 is missing`. */
  readonly message: string;
}

/** The contents of a text, which is complete if there are no faults. */
export interface ArmorReading {
  /** The intact parts in order. */
  readonly parts: readonly NumberedPart[];
  /** One fault for each missing or altered part, in order, or a single one when nothing can be read. */
  readonly faults: readonly ArmorFault[];
}

const COLUMNS = 64;
const MAX_PARTS = 100_000;
const CHECKSUM_CHARACTERS = 8;
const DOCUMENT = "Document";
const CHECKSUM = "Checksum";
/** A name leaves room for its value in a line of `COLUMNS`. */
const HEADER_NAME = /^(?=.{1,40}$)[A-Za-z]+(?:-[A-Za-z]+)*$/;
const HEADING = /^# ([A-Za-z0-9][A-Za-z0-9 ,]*)$/;
const TITLE = /^# tlsboot ([a-z]+), part (\d{1,6}) of (\d{1,6})$/;
const END = /^# end of part \d{1,6}$/;
const PEM_LINE = /^(?:[A-Za-z0-9+/= \t]+|-----(?:BEGIN|END) [A-Z0-9 ]+-----)$/;

/** Encodes parts of a kind, such as `requests`. Throws without parts, and for a malformed or reserved header. */
export function encodeArmor(kind: string, parts: readonly ArmorPart[]): string {
  if (parts.length === 0 || parts.length > MAX_PARTS) throw new Error(`cannot encode ${parts.length} parts`);
  const malformed = parts.flatMap(({ headers }) => Object.keys(headers)).find((name) =>
    !HEADER_NAME.test(name) || name === DOCUMENT || name === CHECKSUM
  );
  if (malformed !== undefined) throw new Error(`cannot encode header "${malformed}"`);
  const sums = parts.map((part, at) => sumPart(kind, { ...part, number: at + 1, total: parts.length }));
  const document = sumDocument(sums);
  return parts.map(({ headers, sections }, at) => {
    const lines = Object.entries({ [DOCUMENT]: document, ...headers, [CHECKSUM]: sums[at]! }).flatMap(encodeHeader);
    const blocks = Object.entries(sections).map(([heading, list]) =>
      `\n# ${heading}\n${list.map(({ label, bytes }) => encodePem(label, bytes)).join("")}`
    );
    return `# tlsboot ${kind}, part ${at + 1} of ${parts.length}\n${lines.join("\n")}\n${
      blocks.join("")
    }# end of part ${at + 1}\n`;
  }).join("\n");
}

/** Finds the kind of the first part in a text; undefined when there is none. */
export function findArmorKind(text: string): string | undefined {
  return /^[ \t>|]*# tlsboot ([a-z]+), part \d/m.exec(text)?.[1];
}

/** Reads the parts of a kind, wherever they are in a text. */
export function readArmor(text: string, kind: string): ArmorReading {
  const parts = new Map<number, ReadPart>();
  const faults: PartFault[] = [];
  for (const draft of findDrafts(text, kind)) {
    const read = readDraft(kind, draft);
    if ("message" in read) faults.push(read);
    else if (parts.size > 0 && !isSameDocument(read, parts)) {
      return refuse("it holds parts of more than one document");
    } else parts.set(read.number, read);
  }
  const total = parts.values().next().value?.total ??
    faults.reduce((most, fault) => Math.max(most, fault.total), 0);
  if (total === 0 && faults.length === 0) return refuse(`it holds no ${kind} of tlsboot`);

  const ordered = [...parts.values()].sort((a, b) => a.number - b.number);
  if (ordered.length === total) {
    const isWhole = total > 0 && sumDocument(ordered.map(({ sum }) => sum)) === ordered[0]!.document;
    // A part may occur twice, as in an e-mail that quotes an earlier one. An altered copy of an intact part is not a
    // fault.
    if (isWhole) return { parts: ordered, faults: [] };
    return refuse("the checksum of the document does not match");
  }
  const unknown = faults.filter(({ part }) => part === undefined);
  const altered = new Map(faults.map((fault) => [fault.part, fault]));
  const missing = Array.from({ length: total }, (_, at) => at + 1).filter((number) => !parts.has(number)).map((part) =>
    altered.get(part) ?? { part, headers: {}, message: `part ${part} of ${total} is missing` }
  );
  return { parts: ordered, faults: [...unknown, ...missing] };
}

/** Formats the contents of a part in canonical form. */
export function formatArmorPart({ headers, sections }: ArmorPart): string {
  const sort = <T>(record: Readonly<Record<string, T>>) => Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([
    sort(headers),
    sort(sections).map(([heading, list]) => [heading, list.map(({ label, bytes }) => [label, encodeBase64(bytes)])]),
  ]);
}

function refuse(message: string): ArmorReading {
  return { parts: [], faults: [{ part: undefined, headers: {}, message }] };
}

function isSameDocument(part: ReadPart, parts: ReadonlyMap<number, ReadPart>): boolean {
  const first = parts.values().next().value;
  return first !== undefined && first.document === part.document && first.total === part.total;
}

/** Returns the checksum of bytes: 40 bits of SHA-256, in eight characters of base32. It only detects accidents. */
export function checksum(bytes: Uint8Array): string {
  const hash = createHash("sha256").update(bytes).digest();
  return encodeBase32(hash.subarray(0, (CHECKSUM_CHARACTERS * 5) / 8));
}

interface PartFault extends ArmorFault {
  /** The number of parts of the document; 0 when it cannot be read. */
  readonly total: number;
}

interface ReadPart extends NumberedPart {
  readonly document: string;
  readonly sum: string;
}

/** The lines between the title and the end of a part. */
interface Draft {
  readonly number: number;
  readonly total: number;
  readonly headers: Map<string, string>;
  /** The lines of the PEM blocks, by their heading. */
  readonly sections: Map<string, string[]>;
  /** The lines of the last section. */
  section?: string[];
  /** The number of the first line that cannot belong to a part. */
  badLine?: number;
  hasEnd: boolean;
}

function findDrafts(text: string, kind: string): readonly Draft[] {
  const drafts: Draft[] = [];
  let current: Draft | undefined;
  for (const [index, raw] of text.split("\n").entries()) {
    const line = stripQuoting(raw);
    const [, of, number, total] = TITLE.exec(line) ?? [];
    if (of !== undefined) {
      current = of === kind
        ? { number: Number(number), total: Number(total), headers: new Map(), sections: new Map(), hasEnd: false }
        : undefined;
      if (current !== undefined) drafts.push(current);
    } else if (current === undefined || line === "") continue;
    else if (END.test(line)) {
      current.hasEnd = true;
      current = undefined;
    } else if (!addLine(current, line)) current.badLine ??= index + 1;
  }
  return drafts;
}

/**
 * Removes the additions of mail programs to a line: `>` and `|` of a reply, the dash of RFC 4880 section 7.1, blanks,
 * `=3D`.
 */
function stripQuoting(raw: string): string {
  return raw.replace(/^[\s>|\ufeff]+/, "").replace(/^- (?=-----)/, "").trimEnd().replaceAll("=3D", "=");
}

function addLine(draft: Draft, line: string): boolean {
  const { headers, sections, section } = draft;
  const [, heading] = HEADING.exec(line) ?? [];
  if (heading !== undefined) {
    if (sections.has(heading)) return false;
    draft.section = [];
    sections.set(heading, draft.section);
    return true;
  }
  if (section !== undefined) {
    section.push(line);
    return PEM_LINE.test(line);
  }
  const [, name = "", value = ""] = /^([^:]+):(.*)$/.exec(line) ?? [];
  if (!HEADER_NAME.test(name) || !/^[\x20-\x7e]*$/.test(value)) return false;
  // A long value spans several lines.
  headers.set(name, (headers.get(name) ?? "") + value.trim());
  return true;
}

function readDraft(kind: string, draft: Draft): ReadPart | PartFault {
  const { number, total } = draft;
  const values = decodeValues(draft.headers);
  const { [DOCUMENT]: document = "", [CHECKSUM]: sum = "", ...headers } = values ?? {};
  const isNumbered = number > 0 && number <= total && total <= MAX_PARTS;
  const fault = (why: string): PartFault => ({
    part: isNumbered ? number : undefined,
    total: isNumbered ? total : 0,
    headers,
    message: `${isNumbered ? `part ${number} of ${total}` : "a part whose number cannot be read"} is ${why}`,
  });
  if (!draft.hasEnd) return fault("cut off");
  if (draft.badLine !== undefined) return fault(`altered: line ${draft.badLine} cannot be read`);
  if (!isNumbered || values === undefined) return fault("altered");
  const sections = Object.fromEntries(
    [...draft.sections].map(([heading, lines]) => [
      heading,
      parsePemBlocks(`${lines.join("\n")}\n`).map(({ label, bytes }) => ({ label, bytes })),
    ]),
  );
  const part = { headers, sections, number, total };
  return sumPart(kind, part) === sum ? { ...part, document, sum } : fault("altered: its checksum does not match");
}

function decodeValues(headers: ReadonlyMap<string, string>): Readonly<Record<string, string>> | undefined {
  try {
    return Object.fromEntries([...headers].map(([name, value]) => [name, decodeURIComponent(value)]));
  } catch {
    return undefined;
  }
}

function sumPart(kind: string, part: NumberedPart): string {
  return checksum(Buffer.from(`${kind} ${part.number} ${part.total} ${formatArmorPart(part)}`));
}

function sumDocument(sums: readonly string[]): string {
  return checksum(Buffer.from(sums.join("")));
}

/** Encodes a header as lines. Blanks at the ends of a line, and an equals sign that a mail program would read, are escaped. */
function encodeHeader([name, value]: [string, string]): string[] {
  const lines: string[] = [];
  const width = COLUMNS - name.length - 2;
  let rest = value.replace(/[^\x20-\x24\x26-\x7e]|=(?=3D)|^ | $/gu, escapeBytes);
  do {
    // Leaves room for an escaped blank at the end, and does not split an escape.
    const full = rest.slice(0, width - 2);
    const line = rest.length <= width ? rest : full.slice(0, full.length - (/%.?$/.exec(full)?.[0].length ?? 0));
    lines.push(`${name}: ${line.replace(/ $/, escapeBytes)}`.trimEnd());
    rest = rest.slice(line.length).replace(/^ /, escapeBytes);
  } while (rest !== "");
  return lines;
}

function escapeBytes(text: string): string {
  return Buffer.from(text).toString("hex").replace(/../g, "%$&");
}

/** The number of texts is written with four digits. */
export const MAX_QR_TEXTS = 9_999;
/**
 * The number of bytes in one code: 885 characters with the header, which fit into QR version 19 at medium error
 * correction. With six codes on a page of A4 or Letter, its 93 modules are 0.65 mm wide each, so that a phone or a
 * cheap scanner can read a copy.
 */
const PIECE_BYTES = 535;
/** The limit of the decompressed size, against malicious codes. It is larger than any bundle. */
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

/** Splits the typed text at each START, in upper case and without blanks. */
function splitTexts(text: string): readonly string[] {
  return text.toUpperCase().split("\n").flatMap((line) => {
    const compact = line.replace(/[\s"']/g, "");
    // A scanner may omit line breaks, but no piece of a text contains START, because base32 has no 1.
    return compact.split(/(?=TLSB1[A-Z2-7]{8}\d{8})/).filter((piece) => piece.startsWith(START));
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
