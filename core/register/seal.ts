/**
 * Seals of the register: a CA signs the hash of a record. Each hash depends on all records before it, so a seal covers the
 * whole register up to its record. The CA that signs an instance's serving certificate makes its seals; clients have that
 * CA in their kubeconfigs.
 */
import { formatTime } from "../kube/meta.ts";
import type { IssuedCertificateSpec, RegisterSeal } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { decodeBase64, encodeBase64 } from "../lib/encodings.ts";
import type { Authority } from "../pki/authority/authority.ts";
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import { chooseAlgorithm } from "../pki/authority/issue.ts";
import { signText, verifyText } from "../pki/authority/signed_text.ts";
import { hashRecord } from "./record.ts";

/** A server seals its register after this time again, also when nothing was issued: the seal says that nothing is missing. */
export const SEAL_INTERVAL_MS = 86_400_000;

/** Creates the seal of a record with the key of a CA. Rejects as the key does. */
export async function createSeal(
  spec: IssuedCertificateSpec,
  { certificate, key }: Pick<Authority, "certificate" | "key">,
  now: Date,
): Promise<RegisterSeal> {
  const time = formatTime(now);
  const signature = await signText("register seal", key, formatSealed(spec, time));
  return {
    time,
    issuerFingerprint: certificate.sha256Fingerprint,
    algorithm: chooseAlgorithm(certificate.publicKey),
    signature: encodeBase64(signature),
  };
}

/** Reports whether the key of a CA made the seal of a record. */
export function isSealGood(
  spec: IssuedCertificateSpec,
  seal: RegisterSeal,
  { publicKey }: Pick<CertificateFacts, "publicKey">,
): boolean {
  const signature = decodeBase64(seal.signature);
  if (seal.algorithm !== chooseAlgorithm(publicKey) || signature === undefined) return false;
  return verifyText("register seal", publicKey, formatSealed(spec, seal.time ?? ""), signature);
}

function formatSealed(spec: IssuedCertificateSpec, time: string): string {
  return `${spec.sequence}\n${hashRecord(spec)}\n${time}\n`;
}
