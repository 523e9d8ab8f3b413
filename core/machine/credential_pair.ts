/** A certificate chain with its private key, as in kubelet's combined PEM file. */
import { Secret } from "../lib/brand.ts";
import { type CertificateFacts, parseCertificate } from "../pki/x509/certificate.ts";
import { parsePrivateKey, type PrivateKey, publicKeysEqual } from "../pki/keys/keys.ts";
import { parsePemBlocks } from "../pki/asn1/pem.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { encodeCertificates } from "../pki/x509/ca_bundle.ts";

/** A certificate chain and the private key of its leaf. */
export interface CredentialPair {
  readonly leaf: CertificateFacts;
  /** The certificates of the chain, leaf first. */
  readonly chain: readonly CertificateFacts[];
  /** The chain as `CERTIFICATE` blocks and nothing else. */
  readonly certificatePem: string;
  readonly key: PrivateKey;
  readonly keyPem: Secret<string>;
}

/** Parses a chain and its key; both texts may hold other blocks. A key that does not match the leaf is an error. */
export function parseCredentialPair(certificatePem: string, keyPem: string): Result<CredentialPair, string> {
  const chain = parseCertificateChain(certificatePem);
  if (!chain.ok) return chain;
  const key = parsePrivateKey(keyPem);
  if (!key.ok) return key;
  const leaf = chain.value[0];
  if (leaf === undefined || !publicKeysEqual(leaf.publicKeyDer, key.value.publicKeyDer())) {
    return err("private key does not match public key");
  }
  return ok({
    leaf,
    chain: chain.value,
    certificatePem: encodeCertificates(chain.value),
    key: key.value,
    keyPem: new Secret(key.value.toPem()),
  });
}

/**
 * Parses every `CERTIFICATE` block without headers, in order; other blocks are skipped (client-go
 * `cert.ParseCertsPEM`).
 */
export function parseCertificateChain(pem: string): Result<readonly CertificateFacts[], string> {
  const chain: CertificateFacts[] = [];
  for (const block of parsePemBlocks(pem)) {
    if (block.label !== "CERTIFICATE" || Object.keys(block.headers).length > 0) continue;
    const certificate = parseCertificate(block.bytes);
    if (!certificate.ok) return certificate;
    chain.push(certificate.value);
  }
  return chain.length === 0 ? err("data does not contain any valid RSA or ECDSA certificates") : ok(chain);
}
