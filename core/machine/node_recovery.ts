/**
 * The recovery of a node whose certificate has expired: it may request its next certificate with the expired one, whose
 * key it proves in the TLS handshake. In Kubernetes, such a node needs a new bootstrap token.
 */
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../kube/kinds/constants.ts";
import { formatHumanDuration } from "../lib/duration.ts";
import { formatTime } from "../kube/meta.ts";
import type { IssuedCertificate } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { NODE_USER_PREFIX, NODES_GROUP } from "../kube/user.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";

/** The key in a user's extra that holds the fingerprint of the expired certificate of a recovering node. */
export const EXPIRED_CERTIFICATE_KEY = "tlsboot/expired-certificate";

/** The facts about the expired certificate of a recovering node. */
export interface RecoveryFacts {
  readonly leaf: Pick<CertificateFacts, "subject" | "notAfter">;
  /** The record of the certificate; undefined when the register has none. */
  readonly record: IssuedCertificate | undefined;
  /** The record of the newest certificate of the same signer and user. */
  readonly newest: IssuedCertificate | undefined;
  /** The sequence number of the newest certificate of that signer whose user is unknown, unless it is revoked. */
  readonly lastUnidentified: number | undefined;
  readonly now: Date;
  /** How long after its expiry a certificate may recover its node, in milliseconds. */
  readonly graceMs: number;
}

/** A refusal of a recovery, and whether another holder of the same key may be the cause. */
export interface RecoveryRefusal {
  readonly message: string;
  readonly isSuspicious: boolean;
}

/** Decides whether an expired certificate may recover its node, and returns the node's user name. */
export function decideRecovery(facts: RecoveryFacts): Result<string, RecoveryRefusal> {
  const { leaf: { subject, notAfter }, record, newest, lastUnidentified = 0, now, graceMs } = facts;
  const { commonName, organizations } = subject;
  const refuse = (message: string, isSuspicious = false) => err({ message, isSuspicious });
  if (!commonName.startsWith(NODE_USER_PREFIX) || !organizations.includes(NODES_GROUP)) {
    return refuse("the certificate is not that of a node");
  }
  const agoMs = now.getTime() - notAfter.getTime();
  if (agoMs > graceMs) {
    const [ago, grace] = [formatHumanDuration(agoMs), formatHumanDuration(graceMs)];
    return refuse(`the certificate expired ${ago} ago, and this server recovers a node within ${grace} only`);
  }
  if (record === undefined) return refuse("the certificate is not in the register");
  if (record.spec.signerName !== KUBE_APISERVER_CLIENT_KUBELET_SIGNER) {
    return refuse("the certificate was not issued as the client certificate of a kubelet");
  }
  const { revocation, recovery } = record.status;
  if (revocation !== undefined) return refuse(`the certificate is revoked (${revocation.reason})`, true);
  if (lastUnidentified > record.spec.sequence) {
    return refuse(
      `the register does not say which node record ${lastUnidentified} is for, so it may be a newer ` +
        "certificate of this node",
    );
  }
  const isNewest = newest === undefined || newest.spec.sequence === record.spec.sequence;
  // The node may request its next certificate again, because it may have lost the answer.
  const isOwnNext = recovery !== undefined && newest?.spec.publicKeyFingerprint === recovery.publicKeyFingerprint;
  if (isNewest || isOwnNext) return ok(commonName);
  const issued = newest.spec.issuedAt ?? formatTime(now);
  return refuse(`a newer certificate was issued for "${commonName}" at ${issued}`, true);
}

/**
 * Decides a request of a recovering node: it must be for the node's own client certificate, and the first request binds
 * the expired certificate to its key. Returns whether the key has to be bound.
 */
export function decideRecoveryRequest(
  record: IssuedCertificate,
  csr: CertificateSigningRequest,
  request: Pick<RequestFacts, "subject">,
  publicKeyFingerprint: string,
): Result<"bind" | "bound", RecoveryRefusal> {
  const { commonName } = request.subject;
  if (csr.spec.signerName !== KUBE_APISERVER_CLIENT_KUBELET_SIGNER || commonName !== csr.spec.username) {
    const message =
      `a node with an expired certificate may only request the client certificate of "${csr.spec.username}"`;
    return err({ message, isSuspicious: false });
  }
  const { recovery } = record.status;
  if (recovery === undefined) return ok("bind");
  if (recovery.publicKeyFingerprint === publicKeyFingerprint) return ok("bound");
  const from = recovery.address === undefined ? "" : ` from ${recovery.address}`;
  const at = recovery.time === null ? "" : ` at ${recovery.time}`;
  return err({
    message: `another key has already recovered "${commonName}" with this certificate${from}${at}`,
    isSuspicious: true,
  });
}
