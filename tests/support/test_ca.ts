/** A CA for tests, and certificates from it. */
import { type Authority, createAuthority } from "../../core/pki/authority.ts";
import { issueCertificate } from "../../core/pki/certificate.ts";
import { generatePrivateKey, type KeyAlgorithm } from "../../core/pki/keys.ts";
import { encodePem } from "../../core/pki/pem.ts";

/** A CA with its private key as PEM, so that a test can write files. */
export interface TestCa extends Authority {
  readonly keyPem: string;
}

/** How the CA differs from the usual one, which is valid from 2025 to 2035. */
export interface TestCaOptions {
  readonly commonName?: string;
  readonly keyAlgorithm?: KeyAlgorithm;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

/** Makes a CA with a key of its own. */
export async function createTestCa(options: TestCaOptions = {}): Promise<TestCa> {
  const key = await generatePrivateKey(options.keyAlgorithm ?? "ecdsa-p256");
  const authority = await createAuthority({
    commonName: options.commonName ?? "test-ca",
    notBefore: options.notBefore ?? new Date("2025-01-01T00:00:00Z"),
    notAfter: options.notAfter ?? new Date("2035-01-01T00:00:00Z"),
    key,
    serial: Uint8Array.of(1),
  });
  return { ...authority, keyPem: key.toPem() };
}

/** A client certificate of the CA, as PEM; the key is thrown away. */
export async function issueTestCertificate(ca: Authority, notBefore: Date, notAfter: Date): Promise<string> {
  const key = await generatePrivateKey("ecdsa-p256");
  const der = await issueCertificate(
    {
      subject: { commonName: "test" },
      publicKeyDer: key.publicKeyDer(),
      dnsNames: [],
      ipAddresses: [],
      emailAddresses: [],
      uris: [],
      notBefore,
      notAfter,
      usages: ["client auth"],
      isCa: false,
    },
    ca,
    Uint8Array.of(2),
  );
  return encodePem("CERTIFICATE", der);
}
