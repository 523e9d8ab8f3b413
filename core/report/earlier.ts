/**
 * The certificates that were issued before a request, the last of which is compared with it. They come from the
 * register, if the API has one, and from the requests that still exist; Kubernetes has no register, and keeps an issued
 * request for one hour.
 */
import { computeKeyFingerprint } from "../approval/evidence/claims.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import type { IssuedCertificate } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { isSameSet } from "../lib/record.ts";
import type { SubjectFields } from "../pki/x509/names.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import { type AlternativeNames, listAlternativeNames } from "../pki/x509/subject_alternative_names.ts";
import { readIdentity } from "../register/certificate_user.ts";
import type { DifferenceView, EarlierCertificateView } from "./request_view.ts";
import { formatIdentity, formatLifetime, parseIdentity } from "./words.ts";
import { recordRequest } from "./record_rows.ts";

/** A certificate that was issued for a request, as far as it is known. */
export interface EarlierCertificate {
  readonly signerName: string;
  /** Undefined when the register does not identify the holder. */
  readonly commonName: string | undefined;
  readonly organizations: readonly string[];
  readonly names: readonly string[];
  readonly usages: readonly string[];
  readonly serialNumber: string | undefined;
  /** The SHA-256 (hex) of the certificate, and that of its key. */
  readonly fingerprint: string | undefined;
  readonly keyFingerprint: string | undefined;
  /** RFC 3339, as is `notAfter`. */
  readonly notBefore: string | undefined;
  readonly notAfter: string | undefined;
  /** The requester of the certificate, and the address of the request. */
  readonly username: string | undefined;
  readonly address: string | undefined;
  readonly requestUid: string | undefined;
  /** The position in the register; undefined for a certificate that is known from its request only. */
  readonly sequence: number | undefined;
  readonly isRevoked: boolean;
}

/**
 * Lists the known certificates that have the key, the common name or an alternative name of a request, the newest first. A
 * certificate that both sources have is listed once.
 */
export function listEarlierCertificates(
  facts: RequestFacts,
  register: readonly IssuedCertificate[] | undefined,
  requests: readonly CertificateSigningRequest[] | undefined,
): readonly EarlierCertificate[] {
  const concerns = createRecordFilter(facts);
  const recorded = (register ?? []).filter(concerns).map(readRecord);
  const known = new Set(recorded.map(({ fingerprint }) => fingerprint));
  // Requests that the register has are skipped, because parsing ten thousand certificates takes half a second.
  const recordedRequests = new Set((register ?? []).map(({ spec }) => spec.request?.uid));
  const seen = (requests ?? [])
    .filter(({ metadata: { uid } }) => uid === undefined || !recordedRequests.has(uid))
    .map(readIssuedRequest).filter((certificate) => certificate !== undefined)
    .filter(({ fingerprint }) => !known.has(fingerprint));
  return [...recorded, ...seen].sort((a, b) => getStartMs(b) - getStartMs(a) || (b.sequence ?? 0) - (a.sequence ?? 0));
}

/** A register may have a hundred thousand records, so most are filtered out before their users are read. */
function createRecordFilter(facts: RequestFacts): (record: IssuedCertificate) => boolean {
  const { commonName } = facts.subject;
  const names = new Set(listAlternativeNames(facts));
  const key = computeKeyFingerprint(facts);
  // The subject of a record escapes characters other than these.
  const isPlain = /^[\w.:@*-]+$/.test(commonName);
  return ({ spec }) => {
    if (spec.removed !== undefined || spec.isCA === true) return false;
    if (spec.publicKeyFingerprint === key || !isPlain || spec.subject?.includes(commonName) === true) return true;
    return [spec.dnsNames, spec.ipAddresses, spec.emailAddresses, spec.uris].some((list) =>
      list?.some((name) => names.has(name)) === true
    );
  };
}

function getStartMs({ notBefore = "" }: EarlierCertificate): number {
  return Date.parse(notBefore) || 0;
}

function readRecord(record: IssuedCertificate): EarlierCertificate {
  const { spec, status } = record;
  const identity = readIdentity(record);
  return {
    signerName: spec.signerName ?? "",
    commonName: identity?.username,
    organizations: identity?.groups ?? [],
    names: listAlternativeNames(spec),
    usages: spec.usages ?? [],
    serialNumber: spec.serialNumber,
    fingerprint: spec.fingerprint,
    keyFingerprint: spec.publicKeyFingerprint,
    notBefore: spec.notBefore ?? undefined,
    notAfter: spec.notAfter ?? undefined,
    username: spec.requester?.username,
    address: spec.requester?.address,
    requestUid: spec.request?.uid,
    sequence: spec.sequence,
    isRevoked: status?.revocation !== undefined,
  };
}

function readIssuedRequest(csr: CertificateSigningRequest): EarlierCertificate | undefined {
  const record = recordRequest(csr);
  return record === undefined ? undefined : { ...readRecord(record), sequence: undefined };
}

/** The identity of a certificate's holder: the common name, or without one, the alternative names. */
type CertificateHolder = AlternativeNames & { readonly subject: SubjectFields };

/** Reports whether a certificate was for the same machine or user as a request for the same signer. */
export function isOfHolder(earlier: EarlierCertificate, signerName: string, holder: CertificateHolder): boolean {
  if (earlier.signerName !== signerName) return false;
  const { commonName = "" } = holder.subject;
  if (commonName !== earlier.commonName) return false;
  // Only alternative names identify a certificate without a common name.
  return commonName !== "" || isSameSet(earlier.names, listAlternativeNames(holder));
}

export function getEarlierState(earlier: EarlierCertificate, now: Date): EarlierCertificateView["state"] {
  const { notBefore = "", notAfter = "", isRevoked } = earlier;
  if (isRevoked) return "revoked";
  const [begin, end] = [Date.parse(notBefore), Date.parse(notAfter)];
  if (Number.isNaN(end)) return "unknown";
  if (begin > now.getTime()) return "not yet valid";
  return end < now.getTime() ? "expired" : "valid";
}

interface ComparedRequest {
  readonly facts: RequestFacts;
  readonly usages: readonly string[];
  readonly expirationSeconds: number | undefined;
  readonly username: string;
  readonly address: string | undefined;
}

/** The number of hexadecimal digits of a key's fingerprint that are shown. */
const SHOWN_DIGITS = 16;

/** Lists the differences. A part that is unknown on either side is not compared. */
export function listDifferences(earlier: EarlierCertificate, request: ComparedRequest): readonly DifferenceView[] {
  const { facts, usages, username, address } = request;
  const differences: DifferenceView[] = [];
  const compare = (what: string, before: string | undefined, now: string | undefined): void => {
    if (before !== undefined && now !== undefined && before !== now) differences.push({ what, before, now });
  };
  const compareSets = (what: string, before: readonly string[], now: readonly string[]): void => {
    if (!isSameSet([...new Set(before)], [...new Set(now)])) {
      differences.push({ what, before: join(before), now: join(now) });
    }
  };
  compareSets("groups", earlier.organizations, facts.subject.organizations);
  compareSets("names", earlier.names, listAlternativeNames(facts));
  compareSets("usages", earlier.usages, usages);
  compare(
    "lifetime",
    formatEarlierLifetime(earlier, request.expirationSeconds),
    formatSeconds(request.expirationSeconds),
  );
  compare("key", shorten(earlier.keyFingerprint), shorten(computeKeyFingerprint(facts)));
  compare("requester", describeUser(earlier.username), describeUser(username));
  compare("address", earlier.address, address);
  return differences;
}

function join(values: readonly string[]): string {
  return values.length === 0 ? "none" : values.join(", ");
}

function shorten(fingerprint: string | undefined): string | undefined {
  return fingerprint === undefined ? undefined : `SHA-256 ${fingerprint.slice(0, SHOWN_DIGITS)}…`;
}

function describeUser(username: string | undefined): string | undefined {
  return username === undefined ? undefined : formatIdentity(parseIdentity(username));
}

function formatSeconds(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : formatLifetime(seconds);
}

/** The tolerated difference of lifetimes, because signers backdate certificates and end them with the CA. */
const TOLERANCE_SECONDS = 900;

/** Formats the lifetime of the certificate, or the requested one if the two differ only slightly. */
function formatEarlierLifetime(
  { notBefore = "", notAfter = "" }: EarlierCertificate,
  requested: number | undefined,
): string | undefined {
  const seconds = (Date.parse(notAfter) - Date.parse(notBefore)) / 1_000;
  if (Number.isNaN(seconds) || requested === undefined) return undefined;
  return formatLifetime(Math.abs(seconds - requested) <= TOLERANCE_SECONDS + requested / 20 ? requested : seconds);
}
