/** CAs and certificates at a fixed time. */
import { strict as assert } from "node:assert";
import type { Result } from "../../core/lib/result.ts";
import { type Authority, createAuthority } from "../../core/pki/authority/authority.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";
import { createCaKey, generatePrivateKey, type KeyAlgorithm, type PrivateKey } from "../../core/pki/keys/keys.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { type CertificatePlan, issueCertificate } from "../../core/pki/authority/issue.ts";
import { getIntermediates } from "../../core/pki/x509/ca_bundle.ts";

export const NOW = new Date("2026-11-25T12:00:00Z");

/** Unwraps a success, or fails the test with the error or errors. */
export function unwrap<T>(result: Result<T, string | readonly string[]>): T {
  assert.ok(result.ok, result.ok ? "" : String(result.error));
  return result.value;
}

export function hoursFromNow(hours: number): Date {
  return new Date(NOW.getTime() + hours * 3_600_000);
}

/** Creates a root CA, by default valid a day before and after `NOW`. */
export async function createTestAuthority(
  algorithm: KeyAlgorithm = "ecdsa-p256",
  validity: { readonly notBefore?: Date; readonly notAfter?: Date; readonly commonName?: string } = {},
): Promise<Authority & { readonly privateKey: PrivateKey }> {
  const key = await generatePrivateKey(algorithm);
  const { notBefore = hoursFromNow(-24), notAfter = hoursFromNow(24), commonName = "kubernetes" } = validity;
  const authority = await createAuthority({ commonName, notBefore, notAfter, key, serial: Uint8Array.of(1) });
  return { ...authority, privateKey: key };
}

/** Returns the plan of a kubelet's client certificate for an hour. */
export function planTestLeaf(key: PrivateKey, edit: Partial<CertificatePlan> = {}): CertificatePlan {
  return {
    subject: { commonName: "system:node:n1", organizations: ["system:nodes"] },
    publicKeyDer: key.publicKeyDer(),
    dnsNames: [],
    ipAddresses: [],
    emailAddresses: [],
    uris: [],
    notBefore: new Date(NOW.getTime() - 300_000),
    notAfter: hoursFromNow(1),
    usages: ["digital signature", "client auth"],
    isCa: false,
    ...edit,
  };
}

/** Creates a CA below another one, by default with the validity of a leaf. */
export async function createIntermediate(
  parent: Authority,
  commonName: string,
  edit: Partial<CertificatePlan> = {},
): Promise<Authority & { readonly privateKey: PrivateKey }> {
  const privateKey = await generatePrivateKey("ecdsa-p256");
  const plan = planTestLeaf(privateKey, { subject: { commonName }, isCa: true, usages: ["cert sign"], ...edit });
  const certificate = await issueTestCertificate(parent, plan);
  const issuers = [parent.certificate, ...parent.issuers];
  return {
    certificate,
    certificatePem: encodePem("CERTIFICATE", certificate.der),
    issuers,
    intermediates: getIntermediates({ certificate, issuers }),
    key: createCaKey(privateKey),
    privateKey,
  };
}

export async function issueTestCertificate(
  issuer: Authority,
  plan: CertificatePlan,
  serial: Uint8Array<ArrayBuffer> = Uint8Array.of(2),
): Promise<CertificateFacts> {
  return unwrap(parseCertificate(await issueCertificate(plan, issuer, serial)));
}
