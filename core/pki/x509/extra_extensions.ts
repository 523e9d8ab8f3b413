/** Extensions that a signer adds to each certificate (RFC 5280 §4.2), such as revocation URLs and policies. */
import { type Bytes, contextTag, DerError, DerReader, equalBytes } from "../asn1/der.ts";
import { encodeOid, encodeSequence, encodeValue } from "../asn1/der_writer.ts";
import { EXTENSION_OID } from "./certificate_extensions.ts";
import { GENERAL_NAME_TAG } from "./subject_alternative_names.ts";

/** An extension of a certificate that will be issued. */
export interface PlannedExtension {
  readonly oid: string;
  readonly critical: boolean;
  /** The extension's value in DER. */
  readonly value: Uint8Array<ArrayBuffer>;
}

const CERTIFICATE_POLICIES = "2.5.29.32";
const OCSP = "1.3.6.1.5.5.7.48.1";
const CA_ISSUERS = "1.3.6.1.5.5.7.48.2";
const CPS = "1.3.6.1.5.5.7.2.1";
/** A distribution point nests a GeneralName in two of these. */
const NESTED = contextTag(0, true);
const IA5_STRING = 0x16;
const ASCII = new TextEncoder();

/** Creates the extension with OCSP URLs, then the URLs of the CA's certificate (§4.2.2.1). URLs are ASCII. */
export function planInformationAccess(ocsp: readonly string[], caIssuers: readonly string[]): PlannedExtension {
  const describe = (method: string) => (url: string) => encodeSequence(encodeOid(method), encodeUri(url));
  const value = encodeSequence(...ocsp.map(describe(OCSP)), ...caIssuers.map(describe(CA_ISSUERS)));
  return { oid: EXTENSION_OID.authorityInfoAccess, critical: false, value };
}

/** Creates the extension with the URLs of revocation lists, one distribution point per URL (§4.2.1.13). */
export function planRevocationLists(urls: readonly string[]): PlannedExtension {
  const points = urls.map((url) => encodeSequence(encodeValue(NESTED, encodeValue(NESTED, encodeUri(url)))));
  return { oid: EXTENSION_OID.crlDistributionPoints, critical: false, value: encodeSequence(...points) };
}

/** Creates the extension with certificate policies, each with an optional URL of a practice statement (§4.2.1.4). */
export function planPolicies(
  policies: readonly { readonly oid: string; readonly cps?: string | undefined }[],
): PlannedExtension {
  const value = encodeSequence(...policies.map(({ oid, cps }) => {
    if (cps === undefined) return encodeSequence(encodeOid(oid));
    const qualifier = encodeSequence(encodeOid(CPS), encodeValue(IA5_STRING, ASCII.encode(cps)));
    return encodeSequence(encodeOid(oid), encodeSequence(qualifier));
  }));
  return { oid: CERTIFICATE_POLICIES, critical: false, value };
}

/** Extensions that a profile cannot define as bytes, because other parts of the profile or plan determine them. */
export const RESERVED_EXTENSIONS: ReadonlySet<string> = new Set([
  ...[9, 14, 15, 16, 17, 18, 19, 30, 31, 32, 33, 35, 36, 37, 54].map((arc) => `2.5.29.${arc}`),
  EXTENSION_OID.authorityInfoAccess,
]);

/** Finds out why bytes are not one DER value; undefined when they are. */
export function findDerValueFault(bytes: Bytes): string | undefined {
  try {
    const reader = new DerReader(bytes);
    const { raw } = reader.readAny();
    return equalBytes(raw, bytes) ? undefined : "something follows the value";
  } catch (error) {
    if (error instanceof DerError) return error.message;
    throw error;
  }
}

function encodeUri(url: string): Bytes {
  return encodeValue(GENERAL_NAME_TAG.uri, ASCII.encode(url));
}
