/** A certificate authority: its certificate and the key behind a port. */
import { AppError } from "../errors.ts";
import type { CaKey } from "../ports.ts";
import { err, ok, type Result } from "../result.ts";
import { type CertificateFacts, parseCertificate } from "./certificate.ts";
import { DerReader, TAG } from "./der.ts";
import { signatureAlgorithmOf, signCertificate } from "./issue.ts";
import { createCaKey, parsePrivateKey, type PrivateKey } from "./keys.ts";
import { encodeName, type SubjectFields } from "./names.ts";
import { encodePem, parsePemBlocks } from "./pem.ts";
import { parsePublicKey, publicKeysEqual } from "./public_key.ts";
import { findSignatureFault } from "./signature.ts";
import { encodeSignatureAlgorithm, parseSignatureAlgorithm } from "./signature_algorithm.ts";

export { signatureAlgorithmOf } from "./issue.ts";

/** A CA that can sign. */
export interface Authority {
  readonly certificate: CertificateFacts;
  /** One `CERTIFICATE` block. */
  readonly certificatePem: string;
  readonly key: CaKey;
}

/** What a new root says. */
export interface AuthorityOptions {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly key: PrivateKey;
  /** Big-endian bytes from a strong random source. */
  readonly serial: Uint8Array<ArrayBuffer>;
}

/** What kubeadm's CA may do (client-go `util/cert`, `NewSelfSignedCACert`). */
const CA_USAGES = ["digital signature", "key encipherment", "cert sign"];

/** Makes a self-signed root: CA without a path length, SubjectKeyIdentifier, no AuthorityKeyIdentifier, no names. */
export async function createAuthority(options: AuthorityOptions): Promise<Authority> {
  const { commonName, organizations = [], notBefore, notAfter, serial } = options;
  const key = createCaKey(options.key);
  const publicKeyDer = options.key.publicKeyDer();
  const subject: SubjectFields = { commonName, organizations };
  const der = await signCertificate(
    {
      subject,
      publicKeyDer,
      dnsNames: [],
      ipAddresses: [],
      emailAddresses: [],
      uris: [],
      notBefore,
      notAfter,
      usages: CA_USAGES,
      isCa: true,
    },
    { nameDer: encodeName(subject), publicKey: parsePublicKey(publicKeyDer), subjectKeyId: undefined, key },
    serial,
  );
  const parsed = parseCertificate(der);
  if (!parsed.ok) throw new AppError("internal", `cannot read back the new CA certificate: ${parsed.error}`);
  return { certificate: parsed.value, certificatePem: encodePem("CERTIFICATE", der), key };
}

/**
 * Reads a CA from its two PEM texts. Exactly one certificate (`signers.md` §3.6); stricter than upstream, it must be a CA
 * that may sign, without critical extensions that we do not understand. The key must be the certificate's, which is tried.
 */
export function parseAuthority(certificatePem: string, keyPem: string): Result<Authority, string> {
  const blocks = parsePemBlocks(certificatePem).filter(({ label }) => label === "CERTIFICATE");
  const [block] = blocks;
  if (block === undefined || blocks.length > 1) return err(`expected 1 certificate, found ${blocks.length}`);
  const parsed = parseCertificate(block.bytes);
  if (!parsed.ok) return parsed;
  const certificate = parsed.value;
  const fault = findAuthorityFault(certificate);
  if (fault !== undefined) return err(fault);
  const key = parsePrivateKey(keyPem);
  if (!key.ok) return key;
  if (!isKeyOf(certificate, key.value)) return err("private key does not match public key");
  return ok({
    certificate,
    certificatePem: encodePem("CERTIFICATE", certificate.der),
    key: createCaKey(key.value),
  });
}

function findAuthorityFault(certificate: CertificateFacts): string | undefined {
  if (!certificate.isCa) return "the certificate is not a CA (basic constraints do not say CA:TRUE)";
  if (certificate.keyUsages.length > 0 && !certificate.keyUsages.includes("keyCertSign")) {
    return "the certificate may not sign certificates (its key usage lacks keyCertSign)";
  }
  const [unknown] = certificate.unknownCriticalExtensions;
  return unknown === undefined ? undefined : `the certificate has an unknown critical extension (${unknown})`;
}

/** Compares the public keys and makes one signature: a key file may carry a public half that is not its own. */
function isKeyOf(certificate: CertificateFacts, key: PrivateKey): boolean {
  const { publicKeyDer, publicKey } = certificate;
  if (!publicKeysEqual(key.publicKeyDer(), publicKeyDer)) return false;
  const name = signatureAlgorithmOf(publicKeyDer);
  const algorithm = parseSignatureAlgorithm(
    new DerReader(encodeSignatureAlgorithm(name)).read(TAG.sequence, "algorithm").content,
  );
  const data = certificate.signedDer;
  try {
    const signature = key.sign(data);
    return findSignatureFault({ algorithm, key: publicKey, data, signature, allowSha1: false }) === undefined;
  } catch {
    // A key whose numbers contradict each other loads, but cannot sign.
    return false;
  }
}
