/**
 * Certificates that are the same in every run: their keys are those of the request vectors, and their signatures are
 * invalid.
 */
import { issueCertificate } from "../../../core/pki/authority/issue.ts";
import { parsePublicKey } from "../../../core/pki/keys/public_key.ts";
import { encodeName } from "../../../core/pki/x509/names.ts";
import { parseCertificationRequest } from "../../../core/pki/x509/pkcs10.ts";
import { REQUEST_VECTORS } from "../../support/request_vectors.ts";
import type { Bytes } from "../target.ts";
import { fromBase64 } from "./seeds.ts";

/** Creates a certificate for each of several keys; every second one is a CA. */
export async function makeCertificates(): Promise<readonly Bytes[]> {
  const made: Bytes[] = [];
  for (const [index, { base64 }] of REQUEST_VECTORS.entries()) {
    const request = parseCertificationRequest(fromBase64(base64));
    if (!request.ok || request.value.keyAlgorithm === "unknown") continue;
    const { publicKeyDer } = request.value;
    const isCa = index % 2 === 0;
    const plan = {
      subject: { commonName: "system:node:n1", organizations: ["system:nodes"] },
      publicKeyDer,
      notBefore: new Date("2026-01-01T00:00:00Z"),
      notAfter: new Date(isCa ? "2056-01-01T00:00:00Z" : "2027-01-01T00:00:00Z"),
      usages: ["digital signature", "client auth"],
      isCa,
      ...(isCa ? { maxPathLength: 1 } : {}),
      dnsNames: ["n1.example"],
      emailAddresses: ["a@b.example"],
      ipAddresses: ["192.0.2.1", "2001:db8::1"],
      uris: ["spiffe://a/b"],
    };
    const issuer = {
      certificate: {
        subject: { raw: encodeName({ commonName: "ca", organizations: [] }) },
        publicKey: parsePublicKey(publicKeyDer),
        publicKeyDer,
        subjectKeyId: "00ff",
      },
      key: { publicKey: () => Promise.resolve(publicKeyDer), sign: () => Promise.resolve(new Uint8Array(64).fill(7)) },
    };
    try {
      made.push(await issueCertificate(plan, issuer, Uint8Array.of(1, 2, index)));
    } catch {
      // No CA may have such a key.
    }
  }
  return made;
}
