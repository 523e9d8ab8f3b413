/**
 * Seals of the register: a CA signs the hash of a record. Each hash depends on all records before it, so a seal covers the
 * whole register up to its record. The CA that signs an instance's serving certificate makes its seals; clients have that
 * CA in their kubeconfigs.
 */
import { Buffer } from "node:buffer";
import { formatTime } from "../kube/meta.ts";
import type { IssuedCertificateSpec, RegisterSeal } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { decodeBase64 } from "../lib/base64.ts";
import type { Authority } from "../pki/authority.ts";
import type { CertificateFacts } from "../pki/certificate.ts";
import { chooseAlgorithm } from "../pki/issue.ts";
import { isSignatureGood } from "../pki/signature.ts";
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
  const algorithm = chooseAlgorithm(certificate.publicKey);
  const signature = await key.sign(encodeSealed(spec, time), algorithm);
  return {
    time,
    issuerFingerprint: certificate.sha256Fingerprint,
    algorithm,
    signature: Buffer.from(signature).toString("base64"),
  };
}

/** Reports whether the key of a CA made the seal of a record. */
export function isSealGood(
  spec: IssuedCertificateSpec,
  seal: RegisterSeal,
  { publicKey }: Pick<CertificateFacts, "publicKey">,
): boolean {
  const algorithm = chooseAlgorithm(publicKey);
  const signature = decodeBase64(seal.signature);
  if (seal.algorithm !== algorithm || signature === undefined) return false;
  return isSignatureGood(algorithm, publicKey, encodeSealed(spec, seal.time ?? ""), new Uint8Array(signature));
}

/** Encodes the signed bytes. They are text, so they cannot be taken for a certificate or a CRL, which begin with 0x30. */
function encodeSealed(spec: IssuedCertificateSpec, time: string): Uint8Array<ArrayBuffer> {
  const lines = ["tlsboot/v1alpha1 register seal", String(spec.sequence), hashRecord(spec), time];
  return new TextEncoder().encode(`${lines.join("\n")}\n`);
}
