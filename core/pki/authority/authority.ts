/**
 * A certificate authority: its certificate, its key behind a port, and signatures of its key over tlsboot's own texts.
 * Each text is signed for one purpose, so a signature is never valid for another one. No such text can be a certificate
 * or a CRL, because those begin with the byte 0x30.
 */
import { AppError } from "../../errors.ts";
import type { CaKey } from "../../ports.ts";
import { formatTime } from "../../kube/meta.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { type CertificateFacts, parseCertificate } from "../x509/certificate.ts";
import { type CertificatePlan, chooseAlgorithm, chooseSignatureAlgorithm, issueCertificate } from "./issue.ts";
import {
  type CertificateChain,
  chainNotAfter,
  encodeTrust,
  findAuthorityFault,
  findRootDamage,
  getIntermediates,
  parseAuthorityChain,
} from "../x509/ca_bundle.ts";
import { equalBytes } from "../asn1/der.ts";
import { createCaKey, parsePrivateKey, type PrivateKey } from "../keys/keys.ts";
import { isMlDsa, isPrivateKeyAlgorithm } from "../keys/key_names.ts";
import { findSubtreeFault, type NameConstraints, NO_SUBTREES } from "../x509/name_constraints.ts";
import { encodeName, formatName, type SubjectFields } from "../x509/names.ts";
import { encodePem, parsePemBlocks } from "../asn1/pem.ts";
import { parsePublicKey, type PublicKeyAlgorithm, type PublicKeyFacts, publicKeysEqual } from "../keys/public_key.ts";
import { NO_ALTERNATIVE_NAMES } from "../x509/subject_alternative_names.ts";
import { isValidSignature } from "../keys/signature.ts";

/** A certificate authority with its key. */
export interface Authority {
  readonly certificate: CertificateFacts;
  /** The certificate as one `CERTIFICATE` block. */
  readonly certificatePem: string;
  /** The issuers in its file, nearest first; empty for a root. */
  readonly issuers: readonly CertificateFacts[];
  /** The certificates that follow each issued leaf; empty for a root, and for a CA that issues only the leaf. */
  readonly intermediates: readonly CertificateFacts[];
  readonly key: CaKey;
  /** The URL of its CRL for every issued certificate whose profile has no other one. */
  readonly crlUrl?: string;
}

/** The contents of a new root certificate. */
export interface AuthorityOptions {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly nameConstraints?: NameConstraints | undefined;
  /** A key in memory, or one behind its port. */
  readonly key: PrivateKey | CaKey;
  /** Big-endian bytes from a strong random source. */
  readonly serial: Uint8Array<ArrayBuffer>;
}

/**
 * Returns the usages of kubeadm's CA (client-go `util/cert`, `NewSelfSignedCACert`), and `crl sign`: openssl and Go accept
 * the CRL of a CA only with that bit (RFC 5280 §6.3.3 (f)). An ML-DSA key must not have `key encipherment` (RFC 9881 §3).
 */
function getCaUsages(algorithm: PublicKeyAlgorithm): readonly string[] {
  const encipherment = isMlDsa(algorithm) ? [] : ["key encipherment"];
  return ["digital signature", ...encipherment, "cert sign", "crl sign"];
}

/** Plans the certificate of a CA: no path length and no names. */
function planCa(
  ca: Pick<CertificatePlan, "subject" | "publicKeyDer" | "notBefore" | "notAfter" | "nameConstraints">,
): CertificatePlan {
  return {
    ...ca,
    ...NO_ALTERNATIVE_NAMES,
    usages: getCaUsages(parsePublicKey(ca.publicKeyDer).algorithm),
    isCa: true,
  };
}

/**
 * Creates a self-signed root with a SubjectKeyIdentifier, without path length, AuthorityKeyIdentifier and names, and
 * with any given name constraints.
 */
export async function createAuthority(options: AuthorityOptions): Promise<Authority> {
  const { commonName, organizations = [], notBefore, notAfter, nameConstraints, serial } = options;
  const key = "publicKeyDer" in options.key ? createCaKey(options.key) : options.key;
  const publicKeyDer = await key.publicKey();
  const publicKey = parsePublicKey(publicKeyDer);
  const subject: SubjectFields = { commonName, organizations };
  const plan = planCa({ subject, publicKeyDer, notBefore, notAfter, nameConstraints });
  const certificate = { subject: { raw: encodeName(subject) }, publicKey, publicKeyDer };
  const der = await issueCertificate(plan, { certificate, key }, serial);
  const parsed = parseCertificate(der);
  if (!parsed.ok) throw new AppError("internal", `cannot read back the new CA certificate: ${parsed.error}`);
  return { ...withoutIssuers(parsed.value), key };
}

interface IntermediateOptions extends Omit<AuthorityOptions, "organizations" | "key"> {
  /** The public key as DER of SubjectPublicKeyInfo, such as that of a request. */
  readonly publicKeyDer: Uint8Array<ArrayBuffer>;
}

/**
 * Issues the certificate of an intermediate CA and returns it with its issuers, read back and verified. It has no path
 * length, because it may have to cross-sign the CA that replaces it. The error says why the issuer cannot certify this
 * CA.
 */
export async function issueIntermediate(
  options: IntermediateOptions,
  issuer: Authority,
): Promise<Result<CertificateChain, string>> {
  const { commonName, serial, notAfter, notBefore, ...rest } = options;
  const end = chainNotAfter(issuer);
  if (notAfter > end) {
    return err(`it would end at ${formatTime(notAfter)}, after the CA that signs it, which ends at ${formatTime(end)}`);
  }
  const subject = { commonName };
  if (equalBytes(encodeName(subject), issuer.certificate.subject.raw)) {
    return err(`it would have the name of the CA that signs it, "${commonName}"`);
  }
  const { permitted = NO_SUBTREES } = options.nameConstraints ?? {};
  for (const { nameConstraints, subject: name } of [issuer.certificate, ...issuer.issuers]) {
    const fault = nameConstraints === undefined ? undefined : findSubtreeFault(nameConstraints, permitted);
    if (fault !== undefined) {
      return err(`it would permit names for which "${formatName(name)}" may not issue: ${fault}`);
    }
  }
  const begin = new Date(Math.max(notBefore.getTime(), issuer.certificate.notBefore.getTime()));
  const plan = planCa({ ...rest, subject, notBefore: begin, notAfter });
  const pem = encodePem("CERTIFICATE", await issueCertificate(plan, issuer, serial));
  return parseAuthorityChain(pem + encodeTrust(issuer));
}

/**
 * Parses a CA from its two PEM texts: the certificate, which its issuers may follow (`parseAuthorityChain`), and the key,
 * which must belong to it. The intermediates follow each certificate that the CA issues.
 */
export async function parseAuthority(certificatesPem: string, keyPem: string): Promise<Result<Authority, string>> {
  const certificates = parseAuthorityCertificates(certificatesPem);
  if (!certificates.ok) return certificates;
  const key = parsePrivateKey(keyPem);
  return key.ok ? await joinAuthority(certificates.value, createCaKey(key.value)) : key;
}

type AuthorityCertificates = Omit<Authority, "key" | "crlUrl">;

/**
 * Parses the certificate of a CA from a file that must have exactly one, as in
 * `pkg/controller/certificates/signer/ca_provider.go`. Unlike upstream, it requires a CA that may sign and has no
 * unknown critical extension.
 */
export function parseAuthorityCertificate(pem: string): Result<AuthorityCertificates, string> {
  const blocks = parsePemBlocks(pem).filter(({ label }) => label === "CERTIFICATE");
  const [block] = blocks;
  if (block === undefined || blocks.length > 1) return err(`expected 1 certificate, found ${blocks.length}`);
  const parsed = parseCertificate(block.bytes);
  if (!parsed.ok) return parsed;
  const fault = findAuthorityFault(parsed.value) ?? findRootDamage(parsed.value);
  return fault === undefined ? ok(withoutIssuers(parsed.value)) : err(fault);
}

/** Parses the certificate of a CA and those of its issuers from one file, as `parseAuthorityChain` does. */
export function parseAuthorityCertificates(pem: string): Result<AuthorityCertificates, string> {
  const chain = parseAuthorityChain(pem);
  return chain.ok ? ok(withIssuers(chain.value)) : chain;
}

/**
 * Joins the certificates and the key of a CA. To check that the key belongs to the certificate, it signs a text that
 * has no other meaning. Rejects when the key does.
 */
export async function joinAuthority(
  certificates: AuthorityCertificates,
  key: CaKey,
): Promise<Result<Authority, string>> {
  const { publicKeyDer, publicKey, sha256Fingerprint } = certificates.certificate;
  if (!publicKeysEqual(await key.publicKey(), publicKeyDer)) return err(MISMATCH);
  try {
    const signature = await signText("use of a CA key", key, sha256Fingerprint);
    return verifyText("use of a CA key", publicKey, sha256Fingerprint, signature)
      ? ok({ ...certificates, key })
      : err(MISMATCH);
  } catch (error) {
    if (error instanceof AppError) throw error;
    // A key with inconsistent numbers can be loaded, but cannot sign.
    return err(MISMATCH);
  }
}

const MISMATCH = "private key does not match public key";

function withoutIssuers(certificate: CertificateFacts): AuthorityCertificates {
  const certificatePem = encodePem("CERTIFICATE", certificate.der);
  return { certificate, certificatePem, issuers: [], intermediates: [] };
}

function withIssuers(chain: CertificateChain): AuthorityCertificates {
  const certificatePem = encodePem("CERTIFICATE", chain.certificate.der);
  return { ...chain, certificatePem, intermediates: getIntermediates(chain) };
}

/** The purpose of a signature. Files contain such signatures, so the names must not change. */
type SignedTextPurpose = "bundle of requests" | "bundle of answers" | "register seal" | "use of a CA key";

/** Signs a text for a purpose. Rejects when the key does. */
export async function signText(purpose: SignedTextPurpose, key: CaKey, text: string): Promise<Uint8Array<ArrayBuffer>> {
  return await key.sign(encodeSigned(purpose, text), chooseSignatureAlgorithm(await key.publicKey()));
}

/** Reports whether a key signed a text for a purpose. Any type of key is allowed, because it may come from a file. */
export function verifyText(
  purpose: SignedTextPurpose,
  key: PublicKeyFacts,
  text: string,
  signature: Uint8Array<ArrayBuffer>,
): boolean {
  return isPrivateKeyAlgorithm(key.algorithm) &&
    isValidSignature(chooseAlgorithm(key), key, encodeSigned(purpose, text), signature);
}

function encodeSigned(purpose: SignedTextPurpose, text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`tlsboot/v1alpha1 ${purpose}\n${text}`);
}
