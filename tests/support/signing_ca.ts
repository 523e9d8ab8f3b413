/** A CA for tests of signers, its files, and certificates from it. */
import { readFile, writeFile } from "node:fs/promises";
import { type Authority, createAuthority, parseAuthority } from "../../core/pki/authority/authority.ts";
import { type CertificatePlan, issueCertificate } from "../../core/pki/authority/issue.ts";
import { encodeTrust, parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { generatePrivateKey, type KeyAlgorithm } from "../../core/pki/keys/keys.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { planTestLeaf, unwrap } from "./test_authority.ts";

/** A CA with its private key as PEM, so that a test can write files. */
export interface SigningCa extends Authority {
  readonly keyPem: string;
}

/** The differences from the usual CA. */
interface SigningCaOptions {
  readonly commonName?: string;
  readonly keyAlgorithm?: KeyAlgorithm;
}

/** Creates a CA with its own key, valid from 2025 to 2035. */
export async function createSigningCa(options: SigningCaOptions = {}): Promise<SigningCa> {
  const key = await generatePrivateKey(options.keyAlgorithm ?? "ecdsa-p256");
  const authority = await createAuthority({
    commonName: options.commonName ?? "test-ca",
    notBefore: new Date("2025-01-01T00:00:00Z"),
    notAfter: new Date("2035-01-01T00:00:00Z"),
    key,
    serial: Uint8Array.of(1),
  });
  return { ...authority, keyPem: key.toPem() };
}

/** Creates a CA below another one; its `issuers` are the CAs above it. */
export async function createIntermediateCa(
  parent: Authority,
  commonName = "intermediate",
  edit: Partial<CertificatePlan> = {},
): Promise<SigningCa> {
  const key = await generatePrivateKey("ecdsa-p256");
  const { notBefore, notAfter } = parent.certificate;
  const usages = ["digital signature", "cert sign"];
  const plan = planTestLeaf(key, { subject: { commonName }, notBefore, notAfter, usages, isCa: true, ...edit });
  const der = await issueCertificate(plan, parent, Uint8Array.of(3));
  const pem = encodePem("CERTIFICATE", der) + encodeTrust(parent);
  const authority = await parseAuthority(pem, key.toPem());
  if (!authority.ok) throw new Error(authority.error);
  return { ...authority.value, keyPem: key.toPem() };
}

/** Writes the chain and the key of a CA to the files `<path>.crt` and `<path>.key`. */
export async function writeCa(path: string, ca: SigningCa): Promise<void> {
  await writeFile(`${path}.crt`, encodeTrust(ca));
  await writeFile(`${path}.key`, ca.keyPem, { mode: 0o600 });
}

/** Reads the first CA certificate in a file. */
export async function readCa(path: string): Promise<CertificateFacts> {
  return unwrap(parseCaBundle(await readFile(path, "utf8")))[0]!;
}

/** Issues a client certificate as PEM, without keeping its key. */
export async function issueClientCertificate(
  ca: Authority,
  notBefore: Date,
  notAfter: Date,
  commonName = "test",
): Promise<string> {
  const key = await generatePrivateKey("ecdsa-p256");
  const plan = planTestLeaf(key, { subject: { commonName }, notBefore, notAfter, usages: ["client auth"] });
  const der = await issueCertificate(plan, ca, Uint8Array.of(2));
  return encodePem("CERTIFICATE", der);
}
