/**
 * The known extensions of a certificate (RFC 5280 §4.2), which are parsed as by Go's x509, and those that a signer adds
 * to each certificate, such as revocation URLs and policies.
 */
import { KEY_USAGE_BITS } from "./usages.ts";
import {
  type Bytes,
  contextTag,
  decodeBitString,
  decodeBoolean,
  decodeOid,
  decodeSmallInteger,
  DerError,
  DerReader,
  equalBytes,
  TAG,
  withText,
} from "../asn1/der.ts";
import { type NameConstraints, parseNameConstraints } from "./name_constraints.ts";
import {
  type AlternativeNames,
  GENERAL_NAME_TAG,
  parseAlternativeNames,
  SUBJECT_ALT_NAME_OID,
} from "./subject_alternative_names.ts";
import { encodeHex } from "../../lib/encodings.ts";
import { encodeOid, encodeSequence, encodeValue } from "../asn1/der_writer.ts";

/** Object identifiers of the extensions that tlsboot writes. */
export const EXTENSION_OID = {
  subjectKeyId: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: SUBJECT_ALT_NAME_OID,
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  crlDistributionPoints: "2.5.29.31",
  authorityKeyId: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  authorityInfoAccess: "1.3.6.1.5.5.7.1.1",
} as const;

/** Policies and policy mappings do not affect verification, so critical ones are accepted. */
const IGNORED: ReadonlySet<string> = new Set(["2.5.29.32", "2.5.29.33"]);

/** The contents of the known extensions. */
export interface ExtensionFacts extends AlternativeNames {
  /** Names of the KeyUsage bits, in bit order; empty when the extension is absent. */
  readonly keyUsages: readonly string[];
  /** OIDs, in the certificate's order; empty when the extension is absent. */
  readonly extendedKeyUsages: readonly string[];
  readonly isCa: boolean;
  readonly maxPathLength?: number;
  /** The SubjectKeyIdentifier in lower-case hexadecimal digits. */
  readonly subjectKeyId?: string;
  /** The AuthorityKeyIdentifier in lower-case hexadecimal digits. */
  readonly authorityKeyId?: string;
  /** The names for which a CA may issue; undefined without a constraint. */
  readonly nameConstraints?: NameConstraints;
  /** The OIDs of unknown critical extensions. */
  readonly unknownCriticalExtensions: readonly string[];
}

/** The facts while they are being collected. */
type Draft = { -readonly [Key in keyof ExtensionFacts]: ExtensionFacts[Key] };

/** Parses the content of `Extensions`; without bytes it returns the facts of a certificate without extensions. */
export function parseExtensions(list: Bytes | undefined): ExtensionFacts {
  const unknownCriticalExtensions: string[] = [];
  const facts: Draft = {
    dnsNames: NONE,
    emailAddresses: NONE,
    ipAddresses: NONE,
    uris: NONE,
    keyUsages: NONE,
    extendedKeyUsages: NONE,
    isCa: false,
    unknownCriticalExtensions,
  };
  const seen = new Set<string>();
  const reader = new DerReader(list ?? new Uint8Array(0));
  while (!reader.isAtEnd()) {
    const extension = withText("x509: malformed extension", () => reader.enter(TAG.sequence, "extension"));
    const oid = withText("x509: malformed extension OID field", () => decodeOid(extension.read(TAG.oid, "id").content));
    const critical = withText("x509: malformed extension critical field", () => {
      const flag = extension.readOptional(TAG.boolean);
      return flag !== undefined && decodeBoolean(flag.content);
    });
    const value = withText("x509: malformed extension value field", () => extension.read(TAG.octetString, "value"));
    if (seen.has(oid)) throw new DerError(`x509: certificate contains duplicate extension with OID "${oid}"`);
    seen.add(oid);
    if (!readExtension(facts, oid, critical, value.content) && critical) unknownCriticalExtensions.push(oid);
  }
  Object.freeze(unknownCriticalExtensions);
  return facts;
}

const NONE: readonly string[] = Object.freeze([]);
/** The tag of `distributionPoint`, and of `fullName` in it (RFC 5280 §4.2.1.13). */
const NAME_TAG = contextTag(0, true);

/** Adds one extension to the facts; false when the extension is unknown. */
function readExtension(facts: Draft, oid: string, critical: boolean, value: Bytes): boolean {
  switch (oid) {
    case EXTENSION_OID.keyUsage:
      facts.keyUsages = withText("x509: invalid key usage", () => readKeyUsage(value));
      return true;
    case EXTENSION_OID.basicConstraints:
      withText("x509: invalid basic constraints", () => readBasicConstraints(facts, value));
      return true;
    case EXTENSION_OID.subjectAltName: {
      const { otherNames: _otherNames, ...names } = parseAlternativeNames(value);
      Object.assign(facts, names);
      return Object.values(names).some(({ length }) => length > 0);
    }
    case EXTENSION_OID.nameConstraints: {
      const { isUnderstood, ...constraints } = parseNameConstraints(value);
      facts.nameConstraints = constraints;
      return isUnderstood;
    }
    case EXTENSION_OID.authorityKeyId: {
      if (critical) throw new DerError("x509: authority key identifier incorrectly marked critical");
      const id = withText("x509: invalid authority key identifier", () => readAuthorityKeyId(value));
      if (id !== undefined) facts.authorityKeyId = id;
      return true;
    }
    case EXTENSION_OID.subjectKeyId:
      if (critical) throw new DerError("x509: subject key identifier incorrectly marked critical");
      facts.subjectKeyId = withText(
        "x509: invalid subject key identifier",
        () => encodeHex(new DerReader(value).read(TAG.octetString, "subjectKeyIdentifier").content),
      );
      return true;
    case EXTENSION_OID.extendedKeyUsage:
      facts.extendedKeyUsages = withText("x509: invalid extended key usages", () => readExtendedKeyUsages(value));
      return true;
    // As in Go, the form of these two is checked, although their contents do not affect verification.
    case EXTENSION_OID.crlDistributionPoints:
      checkDistributionPoints(value);
      return true;
    case EXTENSION_OID.authorityInfoAccess:
      if (critical) throw new DerError("x509: authority info access incorrectly marked critical");
      withText("x509: invalid authority info access", () => checkAuthorityInfoAccess(value));
      return true;
    default:
      return IGNORED.has(oid);
  }
}

function checkDistributionPoints(value: Bytes): void {
  const points = withText(
    "x509: invalid CRL distribution points",
    () => new DerReader(value).enter(TAG.sequence, "CRLDistributionPoints"),
  );
  while (!points.isAtEnd()) {
    withText("x509: invalid CRL distribution point", () => {
      const name = points.enter(TAG.sequence, "DistributionPoint").readOptional(NAME_TAG)?.enter();
      const uris = name?.enter(NAME_TAG, "fullName");
      while (uris?.isNext(GENERAL_NAME_TAG.uri) === true) uris.readAny();
    });
  }
}

function checkAuthorityInfoAccess(value: Bytes): void {
  const descriptions = new DerReader(value).enter(TAG.sequence, "AuthorityInfoAccessSyntax");
  while (!descriptions.isAtEnd()) {
    const description = descriptions.enter(TAG.sequence, "AccessDescription");
    decodeOid(description.read(TAG.oid, "accessMethod").content);
    if (description.isNext(GENERAL_NAME_TAG.uri)) description.readAny();
  }
}

function readKeyUsage(value: Bytes): readonly string[] {
  const { bytes } = decodeBitString(new DerReader(value).read(TAG.bitString, "keyUsage").content);
  return Object.freeze(KEY_USAGE_BITS.filter((_, bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0));
}

function readBasicConstraints(facts: Draft, value: Bytes): void {
  const reader = new DerReader(value).enter(TAG.sequence, "basicConstraints");
  const isCa = reader.readOptional(TAG.boolean);
  facts.isCa = isCa !== undefined && decodeBoolean(isCa.content);
  const length = reader.readOptional(TAG.integer);
  if (length === undefined) return;
  const maxPathLength = decodeSmallInteger(length.content);
  if (maxPathLength < 0) throw new DerError("negative path length");
  facts.maxPathLength = maxPathLength;
}

function readAuthorityKeyId(value: Bytes): string | undefined {
  const id = new DerReader(value).enter(TAG.sequence, "authorityKeyIdentifier").readOptional(contextTag(0, false));
  return id === undefined ? undefined : encodeHex(id.content);
}

function readExtendedKeyUsages(value: Bytes): readonly string[] {
  const reader = new DerReader(value).enter(TAG.sequence, "extKeyUsage");
  const oids: string[] = [];
  while (!reader.isAtEnd()) oids.push(decodeOid(reader.read(TAG.oid, "KeyPurposeId").content));
  return Object.freeze(oids);
}

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

const ASCII = new TextEncoder();

/** Creates the extension with OCSP URLs, then the URLs of the CA's certificate (§4.2.2.1). URLs are ASCII. */
export function planInformationAccess(ocsp: readonly string[], caIssuers: readonly string[]): PlannedExtension {
  const describe = (method: string) => (url: string) => encodeSequence(encodeOid(method), encodeUri(url));
  const value = encodeSequence(...ocsp.map(describe(OCSP)), ...caIssuers.map(describe(CA_ISSUERS)));
  return { oid: EXTENSION_OID.authorityInfoAccess, critical: false, value };
}

/** Creates the extension with the URLs of revocation lists, one distribution point per URL (§4.2.1.13). */
export function planRevocationLists(urls: readonly string[]): PlannedExtension {
  const points = urls.map((url) => encodeSequence(encodeValue(NAME_TAG, encodeValue(NAME_TAG, encodeUri(url)))));
  return { oid: EXTENSION_OID.crlDistributionPoints, critical: false, value: encodeSequence(...points) };
}

/** Creates the extension with certificate policies, each with an optional URL of a practice statement (§4.2.1.4). */
export function planPolicies(
  policies: readonly { readonly oid: string; readonly cps?: string | undefined }[],
): PlannedExtension {
  const value = encodeSequence(...policies.map(({ oid, cps }) => {
    if (cps === undefined) return encodeSequence(encodeOid(oid));
    const qualifier = encodeSequence(encodeOid(CPS), encodeValue(TAG.ia5String, ASCII.encode(cps)));
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
    return equalBytes(raw, bytes) ? undefined : "there are bytes after the value";
  } catch (error) {
    if (error instanceof DerError) return error.message;
    throw error;
  }
}

function encodeUri(url: string): Bytes {
  return encodeValue(GENERAL_NAME_TAG.uri, ASCII.encode(url));
}
