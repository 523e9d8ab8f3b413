/**
 * Bytes as text that survives a mail: 7-bit, lines of at most 64 characters without `=`, in numbered parts with a
 * checksum each. A reader accepts other line ends, trailing blanks, `>` quoting, empty lines and text around the parts,
 * and names the parts that are missing or altered. The checksums find accidents; a signature is the caller's.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

/** One part: what is known about its contents without them, and the contents. */
export interface ArmorPart {
  /** Names are letters and hyphens; values are any text. A fault reports them if they could be read. */
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Why a text cannot be read: one for each part that is missing or altered. */
export interface ArmorFault {
  /** The number of the part, from 1; undefined when it cannot be read, or when the fault is not one of a part. */
  readonly part: number | undefined;
  /** The headers of the part as far as they could be read. They are not protected by a checksum that matched. */
  readonly headers: Readonly<Record<string, string>>;
  /** A sentence without a period, such as `part 3 of 17 is missing`. */
  readonly message: string;
}

const COLUMNS = 64;
/** The largest number of parts that a reader accepts. */
export const MAX_ARMOR_PARTS = 100_000;
const CHECKSUM_CHARACTERS = 8;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const NUMBERS = "Part";
const DOCUMENT = "Document";
const CHECKSUM = "Checksum";

/** Encodes parts under a label, such as `TLSBOOT REQUESTS`. Throws for no part, and for a malformed or reserved header. */
export function encodeArmor(label: string, parts: readonly ArmorPart[]): string {
  if (parts.length === 0 || parts.length > MAX_ARMOR_PARTS) throw new Error(`cannot encode ${parts.length} parts`);
  const malformed = parts.flatMap(({ headers }) => Object.keys(headers)).find((name) =>
    !HEADER_NAME.test(name) || OWN_HEADERS.includes(name)
  );
  if (malformed !== undefined) throw new Error(`cannot encode header "${malformed}"`);
  const sums = parts.map((part, at) => sumPart(label, { ...part, number: at + 1, total: parts.length }));
  const document = sumDocument(sums);
  return parts.map((part, at) => {
    const own = { [NUMBERS]: `${at + 1}/${parts.length}`, [DOCUMENT]: document };
    const lines = Object.entries({ ...own, ...part.headers, [CHECKSUM]: sums[at]! }).flatMap(encodeHeader);
    const base64 = Buffer.from(part.bytes).toString("base64").replaceAll("=", "");
    const body = base64.match(/.{1,64}/g) ?? [];
    return [`-----BEGIN ${label}-----`, ...lines, "", ...body, `-----END ${label}-----`, ""].join("\n");
  }).join("");
}

/** What a text holds: complete if there is no fault. */
export interface ArmorReading {
  /** The parts that are whole, in their order. Without a fault these are all. */
  readonly parts: readonly NumberedPart[];
  /** One for each part that is missing or altered, in their order, or one that says why nothing can be read. */
  readonly faults: readonly ArmorFault[];
}

/** Reads the parts under a label, wherever they stand in a text. */
export function readArmor(text: string, label: string): ArmorReading {
  const parts = new Map<number, ReadPart>();
  const faults: PartFault[] = [];
  for (const draft of findDrafts(text, label)) {
    const read = readDraft(label, draft);
    if ("message" in read) faults.push(read);
    else if (parts.size > 0 && !isSameDocument(read, parts)) {
      return refuse("it holds parts of more than one document");
    } else parts.set(read.number, read);
  }
  const total = parts.values().next().value?.total ?? Math.max(0, ...faults.map((fault) => fault.total));
  if (total === 0 && faults.length === 0) return refuse(`no line in it reads "-----BEGIN ${label}-----"`);

  const ordered = [...parts.values()].sort((a, b) => a.number - b.number);
  if (ordered.length === total) {
    const isWhole = total > 0 && sumDocument(ordered.map(({ sum }) => sum)) === ordered[0]!.document;
    // A part may be there twice, as in a mail that quotes an earlier one: an altered copy of a whole part is no fault.
    if (isWhole) return { parts: ordered, faults: [] };
    return refuse("the checksum of the whole does not match");
  }
  const unknown = faults.filter(({ part }) => part === undefined);
  const altered = new Map(faults.map((fault) => [fault.part, fault]));
  const missing = Array.from({ length: total }, (_, at) => at + 1).filter((number) => !parts.has(number)).map((part) =>
    altered.get(part) ?? { part, headers: {}, message: `part ${part} of ${total} is missing` }
  );
  return { parts: ordered, faults: [...unknown, ...missing] };
}

function refuse(message: string): ArmorReading {
  return { parts: [], faults: [{ part: undefined, headers: {}, message }] };
}

function isSameDocument(part: ReadPart, parts: ReadonlyMap<number, ReadPart>): boolean {
  const first = parts.values().next().value;
  return first !== undefined && first.document === part.document && first.total === part.total;
}

/** Returns the checksum of bytes: 40 bits of SHA-256, in eight characters of base32. It finds accidents only. */
export function checksum(bytes: Uint8Array): string {
  const hash = createHash("sha256").update(bytes).digest();
  return encodeBase32(hash.subarray(0, (CHECKSUM_CHARACTERS * 5) / 8));
}

/** Encodes bytes in the base32 of RFC 4648 without padding. */
export function encodeBase32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    bits += 8;
    for (; bits >= 5; bits -= 5) text += BASE32[(value >> (bits - 5)) & 31];
  }
  return bits === 0 ? text : text + BASE32[(value << (5 - bits)) & 31];
}

/** Decodes base32 without padding, upper case; undefined for any other text, such as bits behind the last byte. */
export function decodeBase32(text: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(Math.floor((text.length * 5) / 8));
  let at = 0;
  let bits = 0;
  let value = 0;
  for (const character of text) {
    const digit = BASE32.indexOf(character);
    if (digit < 0) return undefined;
    value = ((value << 5) | digit) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = (value >> bits) & 0xff;
  }
  return bits < 5 && (value & ((1 << bits) - 1)) === 0 ? bytes : undefined;
}

/** A part with its number, from 1, and the number of parts of its document. */
export interface NumberedPart extends ArmorPart {
  readonly number: number;
  readonly total: number;
}

interface PartFault extends ArmorFault {
  /** The number of parts of the document; 0 when it cannot be read. */
  readonly total: number;
}

interface ReadPart extends NumberedPart {
  readonly document: string;
  readonly sum: string;
}

/** The lines of a part as they stand between its BEGIN and END. */
interface Draft {
  readonly headers: Map<string, string>;
  readonly body: string[];
  /** The number of its first line that cannot be one of a part. */
  badLine?: number;
  hasEnd: boolean;
}

function findDrafts(text: string, label: string): readonly Draft[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const drafts: Draft[] = [];
  let current: Draft | undefined;
  for (const [index, raw] of text.split("\n").entries()) {
    const line = stripQuoting(raw);
    if (line === begin) {
      current = { headers: new Map(), body: [], hasEnd: false };
      drafts.push(current);
    } else if (current === undefined || line === "") continue;
    else if (line === end) {
      current.hasEnd = true;
      current = undefined;
    } else if (!addLine(current, line)) current.badLine ??= index + 1;
  }
  return drafts;
}

/** Removes what mail programs put around a line: `>` and `|` of a reply, the dash of RFC 4880 section 7.1, and blanks. */
function stripQuoting(raw: string): string {
  return raw.replace(/^[\s>|\ufeff]+/, "").replace(/^- (?=-----)/, "").trimEnd();
}

function addLine({ headers, body }: Draft, line: string): boolean {
  const colon = line.indexOf(":");
  if (colon > 0) {
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    if (!HEADER_NAME.test(name) || !/^[\x21-\x7e]*$/.test(value)) return false;
    // A long value stands on several lines.
    headers.set(name, (headers.get(name) ?? "") + value);
    return true;
  }
  if (!/^[A-Za-z0-9+/ \t]+$/.test(line)) return false;
  body.push(line);
  return true;
}

function readDraft(label: string, draft: Draft): ReadPart | PartFault {
  const values = decodeValues(draft.headers);
  const { [NUMBERS]: numbers = "", [DOCUMENT]: document = "", [CHECKSUM]: sum = "", ...headers } = values ?? {};
  const [, number = 0, total = 0] = (/^(\d{1,6})\/(\d{1,6})$/.exec(numbers) ?? []).map(Number);
  const isNumbered = number > 0 && number <= total && total <= MAX_ARMOR_PARTS;
  const fault = (why: string): PartFault => ({
    part: isNumbered ? number : undefined,
    total: isNumbered ? total : 0,
    headers,
    message: `${isNumbered ? `part ${number} of ${total}` : "a part whose number cannot be read"} is ${why}`,
  });
  if (!draft.hasEnd) return fault("cut off");
  if (draft.badLine !== undefined) return fault(`altered: line ${draft.badLine} cannot be read`);
  if (!isNumbered || values === undefined) return fault("altered");
  const base64 = draft.body.join("").replace(/[ \t]/g, "");
  const bytes = new Uint8Array(Buffer.from(base64, "base64"));
  const part = { headers, bytes, number, total };
  if (base64.length % 4 === 1 || sumPart(label, part) !== sum) return fault("altered: its checksum does not match");
  return { ...part, document, sum };
}

function decodeValues(headers: ReadonlyMap<string, string>): Readonly<Record<string, string>> | undefined {
  try {
    return Object.fromEntries([...headers].map(([name, value]) => [name, decodeURIComponent(value)]));
  } catch {
    return undefined;
  }
}

/** The checksum of a part is one of its label, its number, its headers in alphabetical order, and its contents. */
function sumPart(label: string, { headers, bytes, number, total }: NumberedPart): string {
  const sorted = Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1));
  const head = JSON.stringify([label, number, total, sorted]);
  return checksum(Buffer.concat([Buffer.from(`${head}\n`), bytes]));
}

function sumDocument(sums: readonly string[]): string {
  return checksum(Buffer.from(sums.join("")));
}

const HEADER_NAME = /^[A-Za-z]+(?:-[A-Za-z]+)*$/;
const OWN_HEADERS: readonly string[] = [NUMBERS, DOCUMENT, CHECKSUM];

function encodeHeader([name, value]: [string, string]): string[] {
  const lines: string[] = [];
  let line = `${name}: `;
  for (const byte of Buffer.from(value)) {
    const isPlain = byte > 0x20 && byte < 0x7f && byte !== 0x25 && byte !== 0x3d;
    const unit = isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, "0")}`;
    if (line.length + unit.length > COLUMNS) {
      lines.push(line);
      line = `${name}: `;
    }
    line += unit;
  }
  return [...lines, line.trimEnd()];
}
