/** The subjectAltName extension (RFC 5280 §4.2.1.6): DNS, email, IP and URI names; other kinds are only counted. */
import { AppError } from "../../errors.ts";
import { type Bytes, contextTag, DerError, DerReader, TAG, withText } from "../asn1/der.ts";
import { decodeAscii, isAscii } from "../asn1/der_text.ts";
import { encodeParts, encodeValue } from "../asn1/der_writer.ts";
import { formatIpAddress, parseIpAddress } from "../../lib/ip_address.ts";
import { parseUri } from "./name_syntax.ts";

/** The names, in the order of the extension within each kind. */
export interface AlternativeNames {
  readonly dnsNames: readonly string[];
  readonly emailAddresses: readonly string[];
  /** IP addresses in their canonical text. */
  readonly ipAddresses: readonly string[];
  readonly uris: readonly string[];
}

export const NO_ALTERNATIVE_NAMES: AlternativeNames = { dnsNames: [], emailAddresses: [], ipAddresses: [], uris: [] };

/** Lists the alternative names of a request or a certificate, of all kinds. */
export function listAlternativeNames(
  { dnsNames = [], ipAddresses = [], emailAddresses = [], uris = [] }: Partial<AlternativeNames>,
): readonly string[] {
  return [...dnsNames, ...ipAddresses, ...emailAddresses, ...uris];
}

export const SUBJECT_ALT_NAME_OID = "2.5.29.17";

/** The tags of the kinds of names that are read and written (RFC 5280 §4.2.1.6, GeneralName). */
export const GENERAL_NAME_TAG = {
  email: contextTag(1, false),
  dns: contextTag(2, false),
  uri: contextTag(6, false),
  ip: contextTag(7, false),
} as const;
const ASCII = new TextEncoder();

/** Parses the extension's value; throws `DerError` in the words of Go's x509. `otherNames` counts other kinds of names. */
export function parseAlternativeNames(value: Bytes): AlternativeNames & { readonly otherNames: number } {
  const dnsNames: string[] = [];
  const emailAddresses: string[] = [];
  const ipAddresses: string[] = [];
  const uris: string[] = [];
  let otherNames = 0;
  const reader = withText(
    "x509: invalid subject alternative names",
    () => new DerReader(value).enter(TAG.sequence, "GeneralNames"),
  );
  while (!reader.isAtEnd()) {
    const { tag, content } = withText("x509: invalid subject alternative name", () => reader.readAny());
    if (tag === GENERAL_NAME_TAG.dns) dnsNames.push(readAscii(content, "dNSName"));
    else if (tag === GENERAL_NAME_TAG.email) emailAddresses.push(readAscii(content, "rfc822Name"));
    else if (tag === GENERAL_NAME_TAG.uri) uris.push(readUri(content));
    else if (tag === GENERAL_NAME_TAG.ip) ipAddresses.push(readIp(content));
    else otherNames++;
  }
  return {
    dnsNames: Object.freeze(dnsNames),
    emailAddresses: Object.freeze(emailAddresses),
    ipAddresses: Object.freeze(ipAddresses),
    uris: Object.freeze(uris),
    otherNames,
  };
}

/**
 * Encodes the extension's value in Go's order (DNS, email, IP, URI); undefined when there are no names. Throws AppError `invalid`
 * for a name that the type cannot hold.
 */
export function encodeAlternativeNames(names: AlternativeNames): Bytes | undefined {
  const values = [
    ...names.dnsNames.map((name) => encodeValue(GENERAL_NAME_TAG.dns, encodeAscii("DNS name", name))),
    ...names.emailAddresses.map((name) => encodeValue(GENERAL_NAME_TAG.email, encodeAscii("email address", name))),
    ...names.ipAddresses.map((name) => encodeValue(GENERAL_NAME_TAG.ip, encodeIp(name))),
    ...names.uris.map((name) => encodeValue(GENERAL_NAME_TAG.uri, encodeAscii("URI", name))),
  ];
  return values.length === 0 ? undefined : encodeParts(TAG.sequence, values);
}

function readAscii(content: Bytes, kind: string): string {
  const text = decodeAscii(content);
  if (text === undefined) throw new DerError(`x509: SAN ${kind} is malformed`);
  return text;
}

function readUri(content: Bytes): string {
  const parsed = parseUri(readAscii(content, "uniformResourceIdentifier"));
  if ("fault" in parsed) throw new DerError(parsed.fault);
  return parsed.text;
}

function readIp(content: Bytes): string {
  if (content.length !== 4 && content.length !== 16) {
    throw new DerError(`x509: cannot parse IP address of length ${content.length}`);
  }
  return formatIpAddress(content);
}

function encodeAscii(kind: string, text: string): Uint8Array {
  if (!isAscii(text)) throw new AppError("invalid", `cannot encode ${kind} "${text}": only ASCII is possible`);
  return ASCII.encode(text);
}

function encodeIp(text: string): Bytes {
  const bytes = parseIpAddress(text);
  if (bytes === undefined) throw new AppError("invalid", `cannot encode IP address "${text}": it is not an IP address`);
  return bytes;
}
