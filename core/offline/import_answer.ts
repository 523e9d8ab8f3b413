/** Decides what an answer from a CA changes in the request at the API. */
import { withCondition } from "../approval/conditions.ts";
import { findLeafCertificate } from "../csr/certificate.ts";
import { findIssuedFault } from "../csr/issued_fault.ts";
import { findCondition, hasCertificate, isApproved, isFailed } from "../csr/phase.ts";
import { parseRequest } from "../csr/request.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { formatTime } from "../kube/meta.ts";
import { encodeBase64 } from "../lib/base64.ts";
import { type CertificateFacts, parseCertificates } from "../pki/certificate.ts";
import { verifyChain } from "../pki/chain.ts";
import { equalBytes } from "../pki/der.ts";
import { encodePem } from "../pki/pem.ts";
import { publicKeysEqual } from "../pki/public_key.ts";
import { publicKeyPin } from "../pki/public_key_pin.ts";
import type { AnswerBundle, RequestAnswer } from "./answer_bundle.ts";

/** What an import does about one answer. */
export type ImportDecision =
  | { readonly kind: "write"; readonly csr: CertificateSigningRequest; readonly outcome: "issued" | "failed" }
  /** The request has this answer already. */
  | { readonly kind: "imported" }
  /** The request stays as it is, as the CA or the flags of the import want it. */
  | { readonly kind: "left"; readonly message: string }
  /** The answer cannot be imported; `message` completes `cannot import the answer to "n1": …`. */
  | { readonly kind: "unusable"; readonly message: string };

/** What the decisions about all answers of a bundle share. */
export interface ImportContext {
  /** The CAs that signed the answers, each with its issuers behind it (`AnswerBundle.authorities`). */
  readonly authorities: AnswerBundle["authorities"];
  /** Whether a request that the CA refuses becomes Failed; otherwise it stays approved and can be exported again. */
  readonly failRefused: boolean;
  readonly now: Date;
}

/** The reason of the condition Failed, as other signers give it (`pkg/controller/certificates/signer/signer.go`). */
const REASON = "SignerValidationFailure";

/** Decides about one answer; `csr` is the request that has its name now. */
export function decideImport(
  csr: CertificateSigningRequest | undefined,
  { uid, outcome }: RequestAnswer,
  { authorities, failRefused, now }: ImportContext,
): ImportDecision {
  if (csr === undefined) return unusable("the request is no longer there, so let the machine ask again");
  if (csr.metadata.uid !== uid) return unusable("another request has its name now, which was not exported");
  if (outcome.kind === "issued") {
    const certificates = parseCertificates(joinBytes(outcome.certificates));
    const [leaf, ...rest] = certificates.ok ? certificates.value : [];
    if (leaf === undefined) return unusable("its certificate is malformed");
    if (hasCertificate(csr)) {
      const present = findLeafCertificate(csr.status.certificate ?? "");
      return present !== undefined && equalBytes(present.der, leaf.der)
        ? { kind: "imported" }
        : unusable("the request has another certificate already");
    }
    const fault = findStateFault(csr) ?? findLeafFault(csr, leaf, rest, authorities, now);
    if (fault !== undefined) return unusable(fault);
    const pem = outcome.certificates.map((der) => encodePem("CERTIFICATE", der)).join("");
    const certificate = encodeBase64(new TextEncoder().encode(pem));
    return { kind: "write", csr: { ...csr, status: { ...csr.status, certificate } }, outcome: "issued" };
  }
  const { message } = outcome;
  if (outcome.kind === "skipped") return { kind: "left", message };
  if (hasCertificate(csr)) return unusable("the request has a certificate already");
  if (findCondition(csr, "Failed")?.message === message) return { kind: "imported" };
  const fault = findStateFault(csr);
  if (fault !== undefined) return unusable(fault);
  if (!failRefused) return { kind: "left", message };
  return { kind: "write", csr: withCondition(csr, "Failed", { reason: REASON, message }, now), outcome: "failed" };
}

/**
 * Finds the CAs that are not trusted: neither is their key one of the named keys, nor lead they and their issuers to one of
 * the trusted certificates.
 */
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
  if (isFailed(csr)) return "the request has failed already";
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
  if (!path.ok) return `its certificate is not of the CA that signed the answers: ${path.error}`;
  return leaf.notAfter > now ? undefined : `its certificate has ended on ${formatTime(leaf.notAfter)}`;
}

function unusable(message: string): ImportDecision {
  return { kind: "unusable", message };
}

function joinBytes(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(pieces.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
