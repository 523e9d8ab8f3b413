/**
 * Verifies a certification path (RFC 5280 §6, without policies and revocation). It may refuse more than the TLS layer did,
 * but its callers never accept what TLS refused (apiserver `pkg/authentication/request/x509/x509.go`).
 */
import { formatTime } from "../../kube/meta.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { type CertificateFacts, isSelfIssued, verifyCertificateSignature } from "./certificate.ts";
import { equalBytes } from "../asn1/der.ts";
import { findNameFault } from "./name_constraints.ts";
import { TLS_USAGE_OID } from "./usages.ts";

/** The time and the usage to verify for. Without `usage` every extended key usage is accepted. */
export interface ChainOptions {
  /** The time of the verification; undefined when another component has checked the dates. */
  readonly at: Date | undefined;
  readonly usage?: "client" | "server";
}

/** The largest number of CAs in a path and of verified signatures, which limits the cost of a hostile bundle. */
const MAX_INTERMEDIATES = 8;
const MAX_SIGNATURE_CHECKS = 100;
/** Go's limit for a peer's RSA key (`crypto/tls` maxRSAKeySize), because larger keys are slow to verify with. */
const MAX_PEER_RSA_BITS = 8_192;

const UNKNOWN_AUTHORITY = "x509: certificate signed by unknown authority";

interface Search {
  readonly intermediates: readonly CertificateFacts[];
  readonly roots: readonly CertificateFacts[];
  readonly options: ChainOptions;
  checksLeft: number;
  /** The fault of the best matching issuer, which is more useful than "unknown authority". */
  fault: string | undefined;
}

/**
 * Finds a path from the leaf to one of the roots. It checks signatures, the dates of every certificate, CA:TRUE and
 * keyCertSign of every issuer, path lengths, name constraints, and the extended key usages of every certificate (an
 * absent extension or `any` allows all). Returns the path, leaf first and root last. A leaf that is itself one of the
 * roots is a complete path. The error texts are close to Go's.
 */
export function verifyChain(
  leaf: CertificateFacts,
  intermediates: readonly CertificateFacts[],
  roots: readonly CertificateFacts[],
  options: ChainOptions,
): Result<readonly CertificateFacts[], string> {
  const fault = findFault(leaf, options) ?? findKeyFault(leaf);
  if (fault !== undefined) return err(fault);
  if (roots.some((root) => equalBytes(root.der, leaf.der))) return ok([leaf]);
  const search: Search = { intermediates, roots, options, checksLeft: MAX_SIGNATURE_CHECKS, fault: undefined };
  const path = findPath(leaf, [], search);
  return path === undefined ? err(search.fault ?? UNKNOWN_AUTHORITY) : ok(path);
}

/** Checks the size of the key in a peer's certificate; roots are trusted unchecked. */
export function findKeyFault({ publicKey }: CertificateFacts): string | undefined {
  return publicKey.algorithm === "RSA" && publicKey.bits > MAX_PEER_RSA_BITS
    ? `x509: certificate has an RSA key larger than ${MAX_PEER_RSA_BITS} bits`
    : publicKey.weakness;
}

/** Extends a path above `top`, and tries roots first, so that the shortest path wins. */
function findPath(
  top: CertificateFacts,
  below: readonly CertificateFacts[],
  search: Search,
): readonly CertificateFacts[] | undefined {
  const path = [...below, top];
  for (const root of search.roots) {
    if (isIssuer(root, top, path, search)) return [...path, root];
  }
  if (path.length > MAX_INTERMEDIATES) return undefined;
  for (const candidate of search.intermediates) {
    if (path.some(({ der }) => equalBytes(der, candidate.der))) continue;
    if (!isIssuer(candidate, top, path, search)) continue;
    const found = findPath(candidate, path, search);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isIssuer(
  candidate: CertificateFacts,
  subject: CertificateFacts,
  path: readonly CertificateFacts[],
  search: Search,
): boolean {
  if (!equalBytes(candidate.subject.raw, subject.issuer.raw)) return false;
  const { subjectKeyId } = candidate;
  const { authorityKeyId } = subject;
  const isOtherKey = subjectKeyId !== undefined && authorityKeyId !== undefined && subjectKeyId !== authorityKeyId;
  if (isOtherKey || search.checksLeft <= 0) return false;
  const keyFault = search.roots.includes(candidate) ? undefined : findKeyFault(candidate);
  const fault = findIssuerFault(candidate, path) ?? findFault(candidate, search.options) ?? keyFault;
  if (fault !== undefined) {
    search.fault ??= fault;
    return false;
  }
  search.checksLeft--;
  if (!verifyCertificateSignature(subject, candidate)) return false;
  // These are checked after the signature, so that only the constraints of real issuers are compared.
  const nameFault = findConstraintFault(candidate, path);
  search.fault ??= nameFault;
  return nameFault === undefined;
}

/** Checks the names of the leaf and of every CA below the issuer, except self-issued CAs (RFC 5280 §6.1.3 b, c). */
function findConstraintFault(
  { nameConstraints }: CertificateFacts,
  path: readonly CertificateFacts[],
): string | undefined {
  if (nameConstraints === undefined) return undefined;
  for (const [index, certificate] of path.entries()) {
    if (index > 0 && isSelfIssued(certificate)) continue;
    const fault = findNameFault(nameConstraints, certificate);
    if (fault !== undefined) {
      return `x509: issuer has name constraints but leaf contains unknown or unconstrained name: ${fault}`;
    }
  }
  return undefined;
}

function findIssuerFault(issuer: CertificateFacts, path: readonly CertificateFacts[]): string | undefined {
  const maySign = issuer.keyUsages.length === 0 || issuer.keyUsages.includes("keyCertSign");
  if (!issuer.isCa || !maySign) {
    return "x509: invalid signature: parent certificate cannot sign this kind of certificate";
  }
  // The CAs below the issuer; a self-issued one does not count (RFC 5280 §4.2.1.9).
  const below = path.slice(1).filter((certificate) => !isSelfIssued(certificate)).length;
  return issuer.maxPathLength !== undefined && below > issuer.maxPathLength
    ? "x509: too many intermediates for path length constraint"
    : undefined;
}

/** Checks the parts of a certificate that do not depend on its position in the path. */
function findFault(certificate: CertificateFacts, { at, usage }: ChainOptions): string | undefined {
  if (certificate.unknownCriticalExtensions.length > 0) return "x509: unhandled critical extension";
  const dateFault = at === undefined ? undefined : findDateFault(certificate, at);
  if (dateFault !== undefined) return dateFault;
  const allowed = certificate.extendedKeyUsages;
  const isAllowed = usage === undefined || allowed.length === 0 || allowed.includes(TLS_USAGE_OID.any) ||
    allowed.includes(TLS_USAGE_OID[usage]);
  return isAllowed ? undefined : "x509: certificate specifies an incompatible key usage";
}

function findDateFault({ notBefore, notAfter }: CertificateFacts, at: Date): string | undefined {
  const where = at < notBefore
    ? `before ${formatTime(notBefore)}`
    : at > notAfter
    ? `after ${formatTime(notAfter)}`
    : undefined;
  if (where === undefined) return undefined;
  return `x509: certificate has expired or is not yet valid: current time ${formatTime(at)} is ${where}`;
}
