/** Client certificates as the listener passes them to the API. */
import { DAY_MS } from "../../core/lib/duration.ts";
import { parsePemBlocks } from "../../core/pki/asn1/pem.ts";
import { type Authority, createAuthority } from "../../core/pki/authority/authority.ts";
import { type CertificatePlan, issueCertificate } from "../../core/pki/authority/issue.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import type { SubjectFields } from "../../core/pki/x509/names.ts";
import type { PeerCertificate } from "../../server/authn/authentication.ts";
import { planTestLeaf } from "./test_authority.ts";

/** Creates a CA that is valid from a day before a time to a year after it. */
export async function createClientCa(now: Date): Promise<Authority> {
  return await createAuthority({
    commonName: "client-ca",
    notBefore: new Date(now.getTime() - DAY_MS),
    notAfter: new Date(now.getTime() + 365 * DAY_MS),
    key: await generatePrivateKey("ecdsa-p256"),
    serial: Uint8Array.of(1),
  });
}

/** Creates a verified peer with a certificate of the CA, valid around a time. */
export async function verifiedPeer(
  ca: Authority,
  now: Date,
  subject: SubjectFields,
  edit: Partial<CertificatePlan> = {},
): Promise<PeerCertificate> {
  const key = await generatePrivateKey("ecdsa-p256");
  const plan = planTestLeaf(key, {
    subject,
    notBefore: new Date(now.getTime() - DAY_MS / 2),
    notAfter: new Date(now.getTime() + DAY_MS),
    ...edit,
  });
  const leaf = await issueCertificate(plan, ca, Uint8Array.of(2));
  return { kind: "verified", chain: [leaf, ...parsePemBlocks(ca.certificatePem).map(({ bytes }) => bytes)] };
}
