/**
 * Decides what to do with the answers of an offline CA. A machine checks whether an answer is for it and from its site;
 * an API server decides how an answer changes the request.
 */
import { withCondition } from "../approval/conditions.ts";
import { findIssuedFault, findLeafCertificate } from "../request/issued_certificate.ts";
import { findCondition, hasCertificate, isApproved, isFailed, VALIDATION_FAILURE } from "../request/phase.ts";
import { parseRequest } from "../request/parse_request.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { formatTime } from "../kube/meta.ts";
import { encodeBase64 } from "../lib/encodings.ts";
import { encodeCertificates } from "../pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import { verifyChain } from "../pki/x509/chain.ts";
import { equalBytes } from "../pki/asn1/der.ts";
import { publicKeysEqual } from "../pki/keys/public_key.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/keys/key_names.ts";
import type { AnswerBundle, RequestAnswer } from "./bundle.ts";

/** The action of an import on one answer. */
type ImportDecision =
  | { readonly kind: "write"; readonly csr: CertificateSigningRequest; readonly outcome: "issued" | "failed" }
  /** The answer was imported before. */
  | { readonly kind: "imported" }
  /** The request stays as it is, because of the answer or the flags of the import. */
  | { readonly kind: "left"; readonly message: string }
  /** The answer cannot be imported; `message` completes `cannot import the answer to "n1": …`. */
  | { readonly kind: "unusable"; readonly message: string };

/** The context of the decisions about all answers of a bundle. */
export interface ImportContext {
  /** The CAs that signed the answers, each followed by its issuers (`AnswerBundle.authorities`). */
  readonly authorities: AnswerBundle["authorities"];
  /** Whether a request that the CA refuses becomes Failed; otherwise it stays approved and can be exported again. */
  readonly failRefused: boolean;
  readonly now: Date;
}

/** Decides what to do with one answer; `csr` is the request that now has its name. */
export function decideImport(
  csr: CertificateSigningRequest | undefined,
  { id, outcome }: RequestAnswer,
  { authorities, failRefused, now }: ImportContext,
): ImportDecision {
  if (csr === undefined) return cannotImport("the request no longer exists, so the machine has to request again");
  if (csr.metadata.uid !== id) return cannotImport("another request, which was not exported, now has its name");
  if (outcome.kind === "issued") {
    const [leaf, ...rest] = outcome.chain;
    if (leaf === undefined) return cannotImport("it has no certificate");
    if (hasCertificate(csr)) {
      const present = findLeafCertificate(csr.status.certificate ?? "");
      return present !== undefined && equalBytes(present.der, leaf.der)
        ? { kind: "imported" }
        : cannotImport("the request already has another certificate");
    }
    const fault = findStateFault(csr) ?? findLeafFault(csr, leaf, rest, authorities, now);
    if (fault !== undefined) return cannotImport(fault);
    const certificate = encodeBase64(encodeCertificates(outcome.chain));
    return { kind: "write", csr: { ...csr, status: { ...csr.status, certificate } }, outcome: "issued" };
  }
  const { message } = outcome;
  if (outcome.kind === "skipped") return { kind: "left", message };
  if (hasCertificate(csr)) return cannotImport("the request already has a certificate");
  if (findCondition(csr, "Failed")?.message === message) return { kind: "imported" };
  const fault = findStateFault(csr);
  if (fault !== undefined) return cannotImport(fault);
  if (!failRefused) return { kind: "left", message };
  const failed = withCondition(csr, "Failed", { reason: VALIDATION_FAILURE, message }, now);
  return { kind: "write", csr: failed, outcome: "failed" };
}

/** Finds the CAs that are not trusted: their key is not pinned, and they do not chain to a trusted root. */
export function findUntrustedAuthorities(
  authorities: AnswerBundle["authorities"],
  trusted: { readonly pins: ReadonlySet<string>; readonly roots: readonly CertificateFacts[] },
): readonly CertificateFacts[] {
  return authorities.flatMap(([certificate, ...issuers]) => {
    if (certificate === undefined || trusted.pins.has(publicKeyPin(certificate))) return [];
    return verifyChain(certificate, issuers, trusted.roots, { at: undefined }).ok ? [] : [certificate];
  });
}

function findStateFault(csr: CertificateSigningRequest): string | undefined {
  if (isFailed(csr)) return "the request has already failed";
  return isApproved(csr) ? undefined : "the request is not approved";
}

function findLeafFault(
  csr: CertificateSigningRequest,
  leaf: CertificateFacts,
  intermediates: readonly CertificateFacts[],
  authorities: AnswerBundle["authorities"],
  now: Date,
): string | undefined {
  const request = parseRequest(csr.spec.request);
  if (!request.ok) return `its request is malformed: ${request.error}`;
  if (!publicKeysEqual(request.value.publicKeyDer, leaf.publicKeyDer)) return "its certificate is for another key";
  const { subject, dnsNames, ipAddresses, emailAddresses, uris } = request.value;
  const usages = csr.spec.usages ?? [];
  const fault = findIssuedFault(leaf, { subject, dnsNames, ipAddresses, emailAddresses, uris, usages });
  if (fault !== undefined) return `its certificate is not what was requested: ${fault}`;
  const path = verifyChain(leaf, intermediates, authorities.flatMap((chain) => chain.slice(0, 1)), { at: undefined });
  if (!path.ok) return `its certificate was not issued by the CA that signed the answers: ${path.error}`;
  return leaf.notAfter > now ? undefined : `its certificate expired at ${formatTime(leaf.notAfter)}`;
}

function cannotImport(message: string): ImportDecision {
  return { kind: "unusable", message };
}

/** The machine that waits for an answer. */
export interface ExpectedAnswer {
  /** The subject, the key and the id of its request. */
  readonly subject: string;
  readonly key: PublicKeyPin;
  readonly requestId: string;
  /** The certificate in use; an earlier answer that is still on the stick may belong to it. */
  readonly stored: CertificateFacts | undefined;
  /** The pins of the CAs of its site. If it knows none, the CA of the certificate in use counts. */
  readonly site: readonly PublicKeyPin[];
  readonly now: Date;
}

/** The meaning of an answer for a machine. */
export type AnswerVerdict =
  | { readonly kind: "usable"; readonly answer: RequestAnswer }
  /** The answer is old: its certificate is in use or has expired, or it refused an earlier request. */
  | { readonly kind: "earlier" }
  /** `fault` completes the sentence "cannot use the answer: …". */
  | { readonly kind: "unusable"; readonly fault: string; readonly fix: string };

const SIGN_AGAIN = "carry the stick to the CA and run there: tlsboot sign";

const OTHER_SITE = "take the stick of this site; if the site has a new CA, give its hash with the setting " +
  "caCertHash, as tlsboot ca show prints it";

/** Decides whether a machine can use an answer, without checking the names and dates of the certificate. */
export function decideAnswer(bundle: AnswerBundle, expected: ExpectedAnswer): AnswerVerdict {
  const [answer, ...more] = bundle.answers;
  if (answer === undefined || more.length > 0) {
    return unusable(`it holds ${bundle.answers.length} answers, but this machine waits for one`, SIGN_AGAIN);
  }
  if (answer.subject !== expected.subject) {
    return unusable(
      `it is for "${answer.subject}", but this machine requested "${expected.subject}"`,
      "use the stick on that machine, or give this machine's own name",
    );
  }
  if (answer.key !== expected.key) {
    const { stored } = expected;
    const isStored = stored !== undefined && answer.key === publicKeyPin(stored);
    if (isStored || hasExpired(answer, expected.now)) return { kind: "earlier" };
    return unusable(
      `it is for another key, ${answer.key}; the key of this machine's request is ${expected.key}`,
      `remove the answer if no other machine needs it; then ${SIGN_AGAIN}`,
    );
  }
  const { kind } = answer.outcome;
  if (kind === "skipped" || (kind === "refused" && answer.id !== expected.requestId)) return { kind: "earlier" };
  return findChainFault(answer, bundle) ?? findSiteFault(bundle, expected) ?? { kind: "usable", answer };
}

/** Returns the keys of the CAs that a machine has in a kubeconfig or in its settings. */
export function toPins(certificates: readonly CertificateFacts[]): readonly PublicKeyPin[] {
  return certificates.map((certificate) => publicKeyPin(certificate));
}

function hasExpired({ outcome }: RequestAnswer, now: Date): boolean {
  const [leaf] = outcome.kind === "issued" ? outcome.chain : [];
  return leaf !== undefined && leaf.notAfter < now;
}

function findChainFault(
  { outcome }: RequestAnswer,
  { authorities: [issuer = []] }: AnswerBundle,
): AnswerVerdict | undefined {
  const [leaf] = outcome.kind === "issued" ? outcome.chain : [];
  if (leaf === undefined || verifyChain(leaf, [], issuer.slice(0, 1), { at: undefined }).ok) return undefined;
  return unusable("the CA that signed it did not issue the certificate in it", SIGN_AGAIN);
}

/** Returns the CA that signed the answer and the issuers above it. */
function findCaPath({ authorities: [issuer = []] }: AnswerBundle): readonly CertificateFacts[] {
  const [ca] = issuer;
  const path = ca === undefined ? undefined : verifyChain(ca, issuer.slice(1, -1), issuer.slice(-1), { at: undefined });
  return path?.ok === true ? path.value : issuer.slice(0, 1);
}

/**
 * Finds out whether the answer comes from another site. It comes from this site if the machine knows a CA above the
 * certificate, whose key signed the whole answer; if a known CA cross-signed that CA; or, where the API server has a
 * separate CA, if the machine knows every CA that clients should trust. Those CAs are public, so anyone could list
 * them: a certificate in use must then be from the same CA as the new one, and is not replaced by one that the API
 * server would not accept.
 */
function findSiteFault(bundle: AnswerBundle, { site, stored }: ExpectedAnswer): AnswerVerdict | undefined {
  const { authorities: [issuer = []], serverCas } = bundle;
  const above = toPins(findCaPath(bundle));
  const fault = `it is from another site: its CA is ${above.at(-1) ?? "unknown"}`;
  const didIssue = (ca: CertificateFacts): boolean =>
    stored !== undefined && verifyChain(stored, [], [ca], { at: undefined }).ok;
  const isOfStored = stored === undefined || issuer.some(didIssue) || isCrossSigned(bundle, didIssue);
  if (site.length === 0) {
    return isOfStored ? undefined : unusable(`${fault}, which did not issue the certificate in use`, OTHER_SITE);
  }
  const isKnown = (ca: CertificateFacts): boolean => site.includes(publicKeyPin(ca));
  if (above.some((pin) => site.includes(pin)) || isCrossSigned(bundle, isKnown)) return undefined;

  if (isOfStored && serverCas.length > 0 && toPins(serverCas).every((pin) => site.includes(pin))) return undefined;
  return unusable(`${fault}, but this machine expects ${site.join(" or ")}`, OTHER_SITE);
}

/** Reports whether a known CA has cross-signed the CA that answers. */
function isCrossSigned(
  { crossSigned, authorities: [issuer = []], serverCas }: AnswerBundle,
  isKnown: (ca: CertificateFacts) => boolean,
): boolean {
  const [ca] = issuer;
  if (crossSigned === undefined || ca === undefined || publicKeyPin(crossSigned) !== publicKeyPin(ca)) return false;
  return crossSigned.isCa && verifyChain(crossSigned, [], serverCas.filter(isKnown), { at: undefined }).ok;
}

function unusable(fault: string, fix: string): AnswerVerdict {
  return { kind: "unusable", fault, fix };
}
