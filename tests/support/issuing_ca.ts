/** A CA for tests of clients and servers. */
import { type Authority, createAuthority } from "../../core/pki/authority/authority.ts";
import { issueCertificate } from "../../core/pki/authority/issue.ts";
import { generatePrivateKey, type PrivateKey } from "../../core/pki/keys/keys.ts";
import type { SubjectFields } from "../../core/pki/x509/names.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";

/** The fields of a certificate; by default it is valid from an hour before to a day after the CA's time. */
export interface TestCertificate {
  readonly subject?: SubjectFields;
  readonly publicKeyDer: Uint8Array<ArrayBuffer>;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly usages?: readonly string[];
}

/** A CA that issues any requested certificate. */
export interface IssuingCa {
  readonly authority: Authority;
  readonly caPem: string;
  /** Issues a certificate and returns its PEM. */
  issue(certificate: TestCertificate): Promise<string>;
}

const HOUR_MS = 3_600_000;

/** Creates a CA that is valid around a time. TLS stacks verify its certificates only at the machine's time. */
export async function createIssuingCa(now: Date, commonName = "test-ca"): Promise<IssuingCa> {
  let serial = 1;
  const authority = await createAuthority({
    commonName,
    notBefore: new Date(now.getTime() - 24 * HOUR_MS),
    notAfter: new Date(now.getTime() + 3650 * 24 * HOUR_MS),
    key: await generatePrivateKey("ecdsa-p256"),
    serial: Uint8Array.of(serial),
  });
  return {
    authority,
    caPem: authority.certificatePem,
    async issue(certificate) {
      const der = await issueCertificate(
        {
          subject: certificate.subject ?? { commonName: "test" },
          publicKeyDer: certificate.publicKeyDer,
          dnsNames: certificate.dnsNames ?? [],
          ipAddresses: certificate.ipAddresses ?? [],
          emailAddresses: [],
          uris: [],
          notBefore: certificate.notBefore ?? new Date(now.getTime() - HOUR_MS),
          notAfter: certificate.notAfter ?? new Date(now.getTime() + 24 * HOUR_MS),
          usages: certificate.usages ?? ["digital signature", "client auth"],
          isCa: false,
        },
        authority,
        Uint8Array.of(++serial),
      );
      return encodePem("CERTIFICATE", der);
    },
  };
}

/** Issues a serving certificate for loopback, and returns it with its key. */
export async function issueServing(
  ca: IssuingCa,
  edit: Partial<TestCertificate> = {},
): Promise<{ readonly certificatePem: string; readonly keyPem: string; readonly key: PrivateKey }> {
  const key = await generatePrivateKey("ecdsa-p256");
  const certificatePem = await ca.issue({
    publicKeyDer: key.publicKeyDer(),
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
    usages: ["digital signature", "server auth"],
    ...edit,
  });
  return { certificatePem, keyPem: key.toPem(), key };
}
