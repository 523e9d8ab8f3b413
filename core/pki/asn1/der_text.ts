/** Decodes the character strings and times of X.509. */
import { type Bytes, DerError, type DerReader, TAG, withText } from "./der.ts";

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const PRINTABLE = /^[A-Za-z0-9 '()*&+,\-./:=?]*$/;
const NUMERIC = /^[0-9 ]*$/;
const ASCII_ONLY = /^\p{ASCII}*$/u;

/** Selects the messages for malformed strings, which differ between Go's parsers of requests and certificates. */
export type TextDialect = "request" | "certificate";

const WORDS: Readonly<Record<TextDialect, (type: string) => string>> = {
  request: (type) => {
    if (type === "UTF-8 string") return "asn1: invalid UTF-8 string";
    return type === "BMPString" ? "invalid BMPString" : `asn1: syntax error: ${type} contains invalid character`;
  },
  certificate: (type) => `x509: invalid RDNSequence: invalid attribute value: invalid ${type}`,
};

/**
 * Decodes a string; undefined when the tag is not that of a string. As in Go, a PrintableString may contain `*` and
 * `&`.
 */
export function decodeText(tag: number, content: Bytes, dialect: TextDialect): string | undefined {
  const fail = (type: string): DerError => new DerError(WORDS[dialect](type));
  switch (tag) {
    case TAG.utf8String:
      try {
        return UTF8.decode(content);
      } catch {
        throw fail("UTF-8 string");
      }
    case TAG.printableString:
      return checked(decodeLatin1(content), PRINTABLE, () => fail("PrintableString"));
    case TAG.ia5String:
      return checked(decodeLatin1(content), ASCII_ONLY, () => fail("IA5String"));
    case TAG.numericString:
      return checked(decodeLatin1(content), NUMERIC, () => fail("NumericString"));
    case TAG.t61String:
      return decodeLatin1(content);
    case TAG.bmpString:
      return decodeBmp(content, () => fail("BMPString"));
    default:
      return undefined;
  }
}

/** Decodes ASCII text; undefined when a byte is above 0x7f (the IA5String of RFC 5280 §4.2.1.6). */
export function decodeAscii(content: Bytes): string | undefined {
  const text = decodeLatin1(content);
  return ASCII_ONLY.test(text) ? text : undefined;
}

/** Reports whether a text can be encoded as an IA5String. */
export function isAscii(text: string): boolean {
  return ASCII_ONLY.test(text);
}

/**
 * Decodes a UTCTime or GeneralizedTime. As in Go, a UTCTime may lack seconds and both may have an offset; years 50 to
 * 99 are 1950 to 1999 (RFC 5280 §4.1.2.5.1). Only `encoding/asn1`, which reads requests, accepts a fraction of a
 * second, which the result omits.
 */
export function decodeTime(tag: number, content: Bytes, dialect: TextDialect = "certificate"): Date {
  const text = decodeLatin1(content);
  const utc = tag === TAG.utcTime;
  const pattern = utc
    ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(Z|[+-]\d{4})$/
    : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.\d{0,8}[1-9])?(Z|[+-]\d{4})$/;
  const fail = (): DerError => new DerError(`x509: malformed ${utc ? "UTCTime" : "GeneralizedTime"}`);
  const match = pattern.exec(text);
  if (match === null || (dialect === "certificate" && text.includes("."))) throw fail();
  const [shortYear = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map((part) =>
    Number(part ?? "0")
  );
  const year = utc ? shortYear + (shortYear >= 50 ? 1900 : 2000) : shortYear;
  const time = new Date(0);
  time.setUTCFullYear(year, month - 1, day);
  time.setUTCHours(hour, minute, second);
  const isReal = time.getUTCMonth() === month - 1 && time.getUTCDate() === day && hour < 24 && minute < 60 &&
    second < 60;
  const zone = match[7] ?? "Z";
  const offsetMinutes = zone === "Z" ? 0 : Number(zone.slice(0, 3)) * 60 + Number(zone[0] + zone.slice(3));
  // An offset of zero is written Z, never +0000.
  if (!isReal || (zone !== "Z" && offsetMinutes === 0)) throw fail();
  return new Date(time.getTime() - offsetMinutes * 60_000);
}

/** Reads a UTCTime or GeneralizedTime. */
export function readTime(reader: DerReader): Date {
  const { tag, content } = withText("x509: unsupported time format", () => reader.readAny());
  if (tag !== TAG.utcTime && tag !== TAG.generalizedTime) throw new DerError("x509: unsupported time format");
  return decodeTime(tag, content);
}

function checked(text: string, pattern: RegExp, fail: () => DerError): string {
  if (!pattern.test(text)) throw fail();
  return text;
}

function decodeLatin1(content: Bytes): string {
  let text = "";
  for (const byte of content) text += String.fromCharCode(byte);
  return text;
}

/** Decodes UCS-2. Surrogates and noncharacters are refused; a terminating zero is dropped. */
function decodeBmp(content: Bytes, fail: () => DerError): string {
  if (content.length % 2 !== 0) throw fail();
  let end = content.length;
  if (end >= 2 && content[end - 1] === 0 && content[end - 2] === 0) end -= 2;
  let text = "";
  for (let at = 0; at < end; at += 2) {
    const point = (content[at] ?? 0) * 256 + (content[at + 1] ?? 0);
    const isReserved = point >= 0xfffe || (point >= 0xfdd0 && point <= 0xfdef) || (point >= 0xd800 && point <= 0xdfff);
    if (isReserved) throw fail();
    text += String.fromCharCode(point);
  }
  return text;
}
