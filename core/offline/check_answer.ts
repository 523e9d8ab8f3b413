/** Checks the answer to an offline request: whether it is for this machine, from this site, and unaltered. */
import type { CertificateFacts } from "../pki/certificate.ts";
import { verifyChain } from "../pki/chain.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/public_key_pin.ts";
import type { OfflineAnswer } from "./answer_file.ts";

/** The machine that waits for an answer. */
export interface ExpectedAnswer {
  /** The subject, the key and the id of its request. */
  readonly subject: string;
  readonly key: PublicKeyPin;
  readonly requestId: string;
  /** Its certificate in use, to which an earlier answer on the stick may belong. */
  readonly stored: CertificateFacts | undefined;
  /** The CAs of its site, by their keys; when it does not know any, the CA of the certificate in use counts. */
  readonly site: readonly PublicKeyPin[];
  readonly now: Date;
}

/** What an answer is for a machine. */
export type AnswerVerdict =
  | { readonly kind: "usable" }
  /** It is done with: its certificate is in use or has expired, or it refused what is no longer asked for. */
  | { readonly kind: "earlier" }
  /** `fault` completes the sentence "cannot use the answer: …". */
  | { readonly kind: "unusable"; readonly fault: string; readonly fix: string };

const SIGN_AGAIN = "carry the stick to the CA and run there: tlsboot sign";

const OTHER_SITE = "take the stick of this site; if the site has a new CA, give its hash with --ca-cert-hash, as " +
  "tlsboot ca show prints it";

/** Decides whether a machine can use an answer. The certificate's own names and dates are not checked here. */
export function decideAnswer(answer: OfflineAnswer, expected: ExpectedAnswer): AnswerVerdict {
  if (answer.subject !== expected.subject) {
    return unusable(
      `it is for "${answer.subject}", and this machine asked for "${expected.subject}"`,
      "use the stick at that machine, or give this machine's own name",
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
  if (answer.verdict.kind === "refused" && answer.requestId !== expected.requestId) return { kind: "earlier" };
  if (!answer.isSignatureGood) return unusable("the CA in it did not sign it, so it was altered", SIGN_AGAIN);
  return findChainFault(answer) ?? findSiteFault(answer, expected) ?? { kind: "usable" };
}

/** Returns the keys of the CAs that a machine has in a kubeconfig or in its settings. */
export function toPins(certificates: readonly CertificateFacts[]): readonly PublicKeyPin[] {
  return certificates.map((certificate) => publicKeyPin(certificate));
}

function hasExpired({ verdict }: OfflineAnswer, now: Date): boolean {
  const [leaf] = verdict.kind === "signed" ? verdict.chain : [];
  return leaf !== undefined && leaf.notAfter < now;
}

function findChainFault({ verdict, issuer }: OfflineAnswer): AnswerVerdict | undefined {
  const [leaf] = verdict.kind === "signed" ? verdict.chain : [];
  if (leaf === undefined || verifyChain(leaf, [], issuer.slice(0, 1), { at: undefined }).ok) return undefined;
  return unusable("the CA that signed it did not issue the certificate in it", SIGN_AGAIN);
}

/** Returns the CA that signed the answer and the issuers above it. */
function findCaPath({ issuer }: OfflineAnswer): readonly CertificateFacts[] {
  const [ca] = issuer;
  const path = ca === undefined ? undefined : verifyChain(ca, issuer.slice(1, -1), issuer.slice(-1), { at: undefined });
  return path?.ok === true ? path.value : issuer.slice(0, 1);
}

/**
 * Finds out whether the answer comes from another site. The site is known by a CA above the certificate, whose key signed
 * the whole answer; by the CA that it replaces, which signed it; or, where the API server has a CA of its own, by every CA
 * that clients are to trust. Those are public, so anyone could name them: a certificate in use then has to be of the same
 * CA as the new one, and is not replaced by one that the API server would not accept.
 */
function findSiteFault(answer: OfflineAnswer, { site, stored }: ExpectedAnswer): AnswerVerdict | undefined {
  const above = toPins(findCaPath(answer));
  const fault = `it is from another site: its CA is ${above.at(-1) ?? "unknown"}`;
  const didIssue = (ca: CertificateFacts): boolean =>
    stored !== undefined && verifyChain(stored, [], [ca], { at: undefined }).ok;
  const isOfStored = stored === undefined || answer.issuer.some(didIssue) || isCrossSigned(answer, didIssue);
  if (site.length === 0) {
    return isOfStored ? undefined : unusable(`${fault}, which did not issue the certificate in use`, OTHER_SITE);
  }
  const isKnown = (ca: CertificateFacts): boolean => site.includes(publicKeyPin(ca));
  if (above.some((pin) => site.includes(pin)) || isCrossSigned(answer, isKnown)) return undefined;
  const { serverCas } = answer;
  if (isOfStored && serverCas.length > 0 && toPins(serverCas).every((pin) => site.includes(pin))) return undefined;
  return unusable(`${fault}, and this machine expects ${site.join(" or ")}`, OTHER_SITE);
}

/** Reports whether a known CA, which is in the answer too, has signed the key of the CA that answers. */
function isCrossSigned(
  { crossSigned, issuer: [ca], serverCas }: OfflineAnswer,
  isKnown: (ca: CertificateFacts) => boolean,
): boolean {
  if (crossSigned === undefined || ca === undefined || publicKeyPin(crossSigned) !== publicKeyPin(ca)) return false;
  return crossSigned.isCa && verifyChain(crossSigned, [], serverCas.filter(isKnown), { at: undefined }).ok;
}

function unusable(fault: string, fix: string): AnswerVerdict {
  return { kind: "unusable", fault, fix };
}
