/** Distinguished names, parsed into the fields of Go's `pkix.Name` and encoded in its fixed order. */
import {
  type Bytes,
  checkInt64,
  decodeBitString,
  decodeBoolean,
  decodeOid,
  DerError,
  DerReader,
  TAG,
} from "../asn1/der.ts";
import { decodeText, decodeTime, type TextDialect } from "../asn1/der_text.ts";
import { encodeOid, encodeSequence, encodeSetOf, encodeText } from "../asn1/der_writer.ts";
import { decodeHex, encodeHex } from "../../lib/encodings.ts";
import { splitUnescaped } from "../../lib/linear_text.ts";
import { ATTRIBUTE_TYPES } from "./name_syntax.ts";

/** The parts of a subject that signers copy; absent ones are empty. */
export interface SubjectFields {
  readonly commonName?: string;
  readonly organizations?: readonly string[];
  readonly organizationalUnits?: readonly string[];
  readonly countries?: readonly string[];
  readonly localities?: readonly string[];
  readonly provinces?: readonly string[];
  readonly streetAddresses?: readonly string[];
  readonly postalCodes?: readonly string[];
  readonly serialNumber?: string;
}

/** An attribute without a field in `pkix.Name`; `value` is undefined when it is not a string. */
export interface OtherAttribute {
  readonly oid: string;
  readonly value: string | undefined;
}

/** A parsed name. The last CN and SERIALNUMBER count, and the other fields keep the order of their values. */
export interface DistinguishedName extends Required<SubjectFields> {
  readonly otherAttributes: readonly OtherAttribute[];
  /** Earlier values of a repeated CN or SERIALNUMBER, which Go's `pkix.Name` drops and other parsers may prefer. */
  readonly overridden: readonly OtherAttribute[];
  /** The name's DER as it was parsed. */
  readonly raw: Uint8Array<ArrayBuffer>;
}

/** A field that may have several values. */
export type ListField = Exclude<keyof SubjectFields, "commonName" | "serialNumber">;

const FIELD_OF: ReadonlyMap<string, keyof SubjectFields> = new Map(
  ATTRIBUTE_TYPES.map(({ oid, field }) => [oid, field]),
);
const SHORT_NAMES: ReadonlySet<string> = new Set(ATTRIBUTE_TYPES.map(({ short }) => short));

const NONE: readonly string[] = Object.freeze([]);

/** Parses one Name (RFC 5280 §4.1.2.4) from its complete DER; throws `DerError` with the messages of the given parser. */
export function parseName(raw: Bytes, dialect: TextDialect): DistinguishedName {
  try {
    return readName(raw, dialect);
  } catch (error) {
    // Go's certificate parser has the same text for every structural fault of a name.
    if (dialect === "certificate" && error instanceof DerError && !error.message.startsWith("x509: ")) {
      throw new DerError("x509: invalid RDNSequence");
    }
    throw error;
  }
}

/**
 * Encodes a name as Go's `pkix.Name.ToRDNSequence` does: one RDN per field, its values sorted as DER sorts a SET, and other
 * attributes dropped.
 */
export function encodeName(name: SubjectFields): Uint8Array<ArrayBuffer> {
  const rdns: Bytes[] = [];
  for (const { oid, field } of ATTRIBUTE_TYPES) {
    const values = listValues(name, field);
    if (values.length === 0) continue;
    rdns.push(encodeSetOf(values.map((value) => encodeSequence(encodeOid(oid), encodeText(value)))));
  }
  return encodeSequence(...rdns);
}

/** The attributes in the order in which `formatName` writes them. */
const COMMON_NAME_FIRST = ATTRIBUTE_TYPES.toSorted((a, b) => Number(b.short === "CN") - Number(a.short === "CN"));

/** Formats a name on one line for users, close to RFC 4514: `CN=system:node:n1,O=system:nodes`. */
export function formatName(name: FormattableName): string {
  return listFormatted(name).join(",");
}

type FormattableName = SubjectFields & { readonly otherAttributes?: readonly OtherAttribute[] };

/**
 * Lists the attributes of a subject other than the common name and the organizations, such as `OU=x`, and all but the last
 * of several common names. tlsboot's signers omit those without a field, but other signers copy the subject unchanged.
 */
export function listExtraAttributes(name: DistinguishedName): readonly string[] {
  const { overridden, otherAttributes } = name;
  return listFormatted({
    ...name,
    commonName: "",
    organizations: [],
    otherAttributes: [...overridden, ...otherAttributes],
  });
}

function listFormatted(name: FormattableName): readonly string[] {
  const known = COMMON_NAME_FIRST.flatMap(({ field, short }) =>
    listValues(name, field).map((value) => `${short}=${escapeValue(value)}`)
  );
  const others = (name.otherAttributes ?? []).map(({ oid, value }) => `${oid}=${escapeValue(value ?? "")}`);
  return [...known, ...others];
}

/** One attribute of a name in the text of `formatName`. */
interface FormattedAttribute {
  /** The short name, such as `CN`, or the OID of an attribute without one. */
  readonly type: string;
  readonly value: string;
}

const OID = /^\d+(?:\.\d+)+$/;

/**
 * Parses the text of `formatName`; undefined for any other text. Every value must be escaped as `formatName` escapes
 * it, so that a text has only one meaning. `parseSubject` reads what users type.
 */
export function parseFormattedName(text: string): readonly FormattedAttribute[] | undefined {
  const attributes: FormattedAttribute[] = [];
  for (const part of text === "" ? [] : splitUnescaped(text, (char) => char === ",")) {
    const end = part.indexOf("=");
    const [type, raw] = [part.slice(0, Math.max(end, 0)), part.slice(end + 1)];
    if (!SHORT_NAMES.has(type) && (!OID.test(type) || FIELD_OF.has(type))) return undefined;
    const value = PLAIN.test(raw) ? raw : unescapeValue(raw);
    if (escapeValue(value) !== raw) return undefined;
    const isOnce = type === "CN" || type === "SERIALNUMBER";
    if (isOnce && (value === "" || attributes.some((other) => other.type === type))) return undefined;
    attributes.push({ type, value });
  }
  return attributes;
}

function readName(raw: Bytes, dialect: TextDialect): DistinguishedName {
  const outer = new DerReader(raw);
  const sequence = outer.enter(TAG.sequence, "RDNSequence");
  if (!outer.isAtEnd()) throw new DerError("x509: trailing data after X.509 Subject");
  const lists: Partial<Record<ListField, string[]>> = {};
  const single = { commonName: "", serialNumber: "" };
  const otherAttributes: OtherAttribute[] = [];
  const overridden: OtherAttribute[] = [];
  const seen = new Set<string>();
  while (!sequence.isAtEnd()) {
    const set = sequence.enterElement(TAG.set);
    while (!set.isAtEnd()) {
      const attribute = set.enterElement(TAG.sequence);
      const oid = decodeOid(attribute.read(TAG.oid, "ObjectIdentifier").content);
      const { tag, content } = attribute.readAny();
      const value = decodeText(tag, content, dialect);
      if (value === undefined && dialect === "certificate") {
        throw new DerError(`x509: invalid RDNSequence: invalid attribute value: unsupported string type: ${tag}`);
      }
      if (value === undefined) checkBasicValue(tag, content);
      const field = FIELD_OF.get(oid);
      if (value === undefined || field === undefined) otherAttributes.push(Object.freeze({ oid, value }));
      else if (field === "commonName" || field === "serialNumber") {
        if (seen.has(oid)) overridden.push(Object.freeze({ oid, value: single[field] }));
        seen.add(oid);
        single[field] = value;
      } else (lists[field] ??= []).push(value);
    }
  }
  const freezeList = (field: ListField): readonly string[] => Object.freeze(lists[field] ?? NONE);
  return Object.freeze({
    ...single,
    organizations: freezeList("organizations"),
    organizationalUnits: freezeList("organizationalUnits"),
    countries: freezeList("countries"),
    localities: freezeList("localities"),
    provinces: freezeList("provinces"),
    streetAddresses: freezeList("streetAddresses"),
    postalCodes: freezeList("postalCodes"),
    otherAttributes: Object.freeze(otherAttributes),
    overridden: Object.freeze(overridden),
    raw,
  });
}

/**
 * Checks a value of a basic type other than a string. Go decodes such a value, an INTEGER into 64 bits, and refuses the
 * request when it cannot (`encoding/asn1`, parseField of an `any`).
 */
function checkBasicValue(tag: number, content: Bytes): void {
  if (tag === TAG.boolean) decodeBoolean(content);
  else if (tag === TAG.integer) checkInt64(content);
  else if (tag === TAG.bitString) decodeBitString(content);
  else if (tag === TAG.oid) decodeOid(content);
  else if (tag === TAG.utcTime || tag === TAG.generalizedTime) decodeTime(tag, content, "request");
}

function listValues(name: SubjectFields, field: keyof SubjectFields): readonly string[] {
  const value = name[field];
  if (value === undefined || value === "") return [];
  return typeof value === "string" ? [value] : value;
}

/** Matches most values, in which nothing is escaped. */
const PLAIN = /^[\w.:@*/-]*$/;

/** Escapes a value (RFC 4514 §2.4), and control characters in hexadecimal so that the name stays on one line. */
function escapeValue(value: string): string {
  if (PLAIN.test(value)) return value;
  return value
    .replace(/[\\,+"<>;]/g, "\\$&")
    .replace(/^[# ]| $/g, "\\$&")
    .replace(
      /[\p{Cc}\u2028\u2029]/gu,
      (char) => encodeHex(new TextEncoder().encode(char)).replace(/../g, "\\$&"),
    );
}

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Reverts `escapeValue`. For any other text it returns a value that `escapeValue` escapes differently. */
function unescapeValue(raw: string): string {
  return raw.replace(
    /((?:\\[0-9a-f]{2})+)|\\(.)/gsu,
    (_, hex: string | undefined, char = "") =>
      hex === undefined ? char : UTF8.decode(decodeHex(hex.replaceAll("\\", ""))),
  );
}
