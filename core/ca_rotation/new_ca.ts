/**
 * The new CA of a rotation: the properties that it inherits, the faults that prevent a rotation, its cross-signed
 * certificate for programs that trust only the old CA, and the transport of its key to the other servers of an
 * installation. All servers have the signing key of service account tokens, so the CA's key is encrypted under a key
 * derived from that one. A user who may read Secrets cannot decrypt it.
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import type { CaRotation, IssuedCertificate } from "../kube/kinds/tlsboot_v1alpha1.ts";
import type { SecretObject } from "../kube/kinds/core_v1.ts";
import { formatTime, SYSTEM_NAMESPACE } from "../kube/meta.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { decodeBase64, encodeBase64 } from "../lib/encodings.ts";
import { type CertificateChain, chainNotAfter } from "../pki/x509/ca_bundle.ts";
import { type CertificateFacts, parseCertificate } from "../pki/x509/certificate.ts";
import { findKeyAlgorithm, isPrivateKeyAlgorithm, type KeyAlgorithm } from "../pki/keys/key_names.ts";
import { parsePrivateKey } from "../pki/keys/keys.ts";
import { findIssuersFault, type NameConstraints } from "../pki/x509/name_constraints.ts";
import { publicKeysEqual } from "../pki/keys/public_key.ts";
import type { Random } from "../ports.ts";
import { isAborting, isInProgress } from "./rotation_rules.ts";
import type { Authority } from "../pki/authority/authority.ts";
import { equalBytes } from "../pki/asn1/der.ts";
import { issueCertificate } from "../pki/authority/issue.ts";
import { NO_ALTERNATIVE_NAMES } from "../pki/x509/subject_alternative_names.ts";
import { findUnknownUsages, listUsages } from "../pki/x509/usages.ts";

/** The properties that a new CA inherits from the old one unless the operator gives others. */
interface InheritedProperties {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly keyAlgorithm: KeyAlgorithm;
  /** The lifetime of the old CA, so that the new one ends later. */
  readonly lifetimeMs: number;
  readonly nameConstraints: NameConstraints | undefined;
}

/** A reason why a rotation cannot begin, and what the operator can do. */
interface BeginFault {
  readonly message: string;
  readonly hint: string;
}

/** Returns the properties that a new CA inherits. Its name differs, so that people and logs can distinguish the two. */
export function inheritProperties({ certificate, issuers }: CertificateChain): InheritedProperties {
  const { keyAlgorithm: algorithm, keyBits: bits, notBefore, notAfter, subject } = certificate;
  const constrained = [certificate, ...issuers].find((ca) => ca.nameConstraints !== undefined);
  return {
    commonName: getNextName(subject.commonName),
    organizations: subject.organizations,
    keyAlgorithm: (isPrivateKeyAlgorithm(algorithm) ? findKeyAlgorithm({ algorithm, bits }) : undefined) ??
      "ecdsa-p256",
    lifetimeMs: notAfter.getTime() - notBefore.getTime(),
    nameConstraints: constrained?.nameConstraints,
  };
}

/** Returns the name of the CA that follows: `tlsboot-ca-2` after `tlsboot-ca`, `tlsboot-ca-3` after that. */
export function getNextName(commonName: string): string {
  const [, stem, digits] = /^(.*)-(\d{1,6})$/.exec(commonName) ?? [];
  return stem === undefined ? `${commonName}-2` : `${stem}-${Number(digits) + 1}`;
}

/** Finds out why a CA cannot replace another; undefined when it can. A CA with a leaked key cross-signs nothing. */
export function findBeginFault(
  newCa: CertificateChain,
  oldCa: CertificateChain,
  { isLeaked }: { readonly isLeaked: boolean },
): BeginFault | undefined {
  const [newer, older] = [newCa.certificate, oldCa.certificate];
  if (newer.sha256Fingerprint === older.sha256Fingerprint) {
    return { message: "it is the present CA", hint: "give a different CA, or omit it to create a new one" };
  }
  if (publicKeysEqual(newer.publicKeyDer, older.publicKeyDer)) {
    return {
      message: "it has the key of the present CA",
      hint: "give a CA with a different key; a program that holds the keys must answer with another key for " +
        "pki/next-NAME.crt, see docs/guides/ca.md",
    };
  }
  const [newEnd, oldEnd] = [chainNotAfter(newCa), chainNotAfter(oldCa)];
  if (newEnd < oldEnd) {
    return {
      message: `it ends at ${formatTime(newEnd)}, before the present CA, which ends at ${formatTime(oldEnd)}`,
      hint: "give a CA that lasts longer, or a longer duration",
    };
  }
  const crossSignFault = isLeaked ? undefined : findCrossSignFault(newer, older);
  if (crossSignFault === undefined) return undefined;
  const hasSameName = older.maxPathLength !== 0;
  return {
    message: `the present CA cannot certify it: ${crossSignFault}`,
    hint: hasSameName
      ? "give a CA with another name"
      : "replace it at once with tlsboot ca rotate now, after which every machine has to join again",
  };
}

/** A certificate that the new CA could not have issued. */
interface ExcludedCertificate {
  readonly subject: string;
  /** Whether it is the certificate of the server itself. */
  readonly isServer: boolean;
  /** The constraint and the name that it excludes. */
  readonly fault: string;
}

/** Collects the certificates in use whose names the new CA does not permit. */
export class ExcludedCertificates {
  readonly #newCa: readonly CertificateFacts[];
  readonly #oldFingerprint: string;
  readonly #now: Date;
  readonly #found = new Map<string, ExcludedCertificate>();

  constructor(newCa: CertificateChain, oldCa: CertificateChain, now: Date) {
    this.#newCa = [newCa.certificate, ...newCa.issuers];
    this.#oldFingerprint = oldCa.certificate.sha256Fingerprint;
    this.#now = now;
  }

  /** Whether the new CA or one above it has constraints. Without them no record has to be read. */
  get isPossible(): boolean {
    return this.#newCa.some(({ nameConstraints }) => nameConstraints !== undefined);
  }

  /** Checks a record of the register, if its certificate is from the old CA and in use. */
  add({ spec, status }: IssuedCertificate): void {
    if (spec.issuerFingerprint !== this.#oldFingerprint || status?.revocation !== undefined || spec.isCA === true) {
      return;
    }
    if (!(Date.parse(spec.notAfter ?? "") > this.#now.getTime())) return;
    const fault = findIssuersFault(this.#newCa, {
      dnsNames: spec.dnsNames ?? [],
      ipAddresses: spec.ipAddresses ?? [],
      emailAddresses: spec.emailAddresses ?? [],
      uris: spec.uris ?? [],
    });
    if (fault === undefined) return;
    const isServer = spec.source === "serving";
    const subject = isServer ? "the server" : spec.subject ?? spec.serialNumber ?? "";
    this.#found.set(subject, { subject, isServer, fault });
  }

  /** Returns the certificates, each subject once, the server first. */
  list(): readonly ExcludedCertificate[] {
    return [...this.#found.values()].sort((a, b) => Number(b.isServer) - Number(a.isServer));
  }
}

/** The explicit settings of the operator for a rotation that is already in progress. */
interface RepeatedBegin {
  /** SHA-256 (hex) of the CA in the given file. */
  readonly fingerprint: string | undefined;
  /** The old key has leaked, which also overrules an abort. */
  readonly isLeaked: boolean;
}

/**
 * Decides what to do about an earlier rotation of the same CA: `begin` when there is none or it is finished, `continue`
 * when it is the same one. The error says why a different rotation cannot begin.
 */
export function decideBegin(
  existing: CaRotation | undefined,
  newCa: CertificateFacts | undefined,
  repeated: RepeatedBegin,
): Result<"begin" | "continue", string> {
  if (existing === undefined || newCa === undefined || !isInProgress(existing)) return ok("begin");
  const { fingerprint, isLeaked } = repeated;
  const began = `a rotation to "${newCa.subject.commonName}" is in progress since ${existing.status.beganAt}`;
  if (isAborting(existing) && !isLeaked) return err(`${began}, and is being aborted`);
  if (fingerprint !== undefined && fingerprint !== newCa.sha256Fingerprint) return err(`${began}, with another CA`);
  return ok("continue");
}

const WRAPPED_KEY_TYPE = "tlsboot/ca-rotation";
const ENTRY = "wrapped-key";

const SALT_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
const PURPOSE = "tlsboot ca rotation v1";

/** Returns the name of the Secret with the new key of a CA, such as `ca`. */
export function toWrappedKeyName(caName: string): string {
  return `tlsboot-ca-rotation-${caName}`;
}

/**
 * Encrypts a key (PEM, which may itself be encrypted) under the key of service account tokens (PEM). The result is
 * base64 text. The error is a fault of the latter key.
 */
export function wrapKey(keyPem: string, tokenKeyPem: string, random: Random): Result<string, string> {
  const salt = random.bytes(SALT_BYTES);
  const key = deriveKey(tokenKeyPem, salt);
  if (!key.ok) return key;
  const nonce = random.bytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key.value, nonce);
  const text = Buffer.concat([cipher.update(keyPem, "utf8"), cipher.final()]);
  return ok(encodeBase64(Buffer.concat([salt, nonce, cipher.getAuthTag(), text])));
}

/** Decrypts the result of `wrapKey`. The error contains no part of a key. */
export function unwrapKey(wrapped: string, tokenKeyPem: string): Result<string, string> {
  const decoded = decodeBase64(wrapped);
  if (decoded === undefined || decoded.length <= SALT_BYTES + NONCE_BYTES + TAG_BYTES) {
    return err("it is not a wrapped key");
  }
  const bytes = Buffer.from(decoded);
  const key = deriveKey(tokenKeyPem, bytes.subarray(0, SALT_BYTES));
  if (!key.ok) return key;
  const nonce = bytes.subarray(SALT_BYTES, SALT_BYTES + NONCE_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", key.value, nonce);
  decipher.setAuthTag(bytes.subarray(SALT_BYTES + NONCE_BYTES, SALT_BYTES + NONCE_BYTES + TAG_BYTES));
  try {
    const text = decipher.update(bytes.subarray(SALT_BYTES + NONCE_BYTES + TAG_BYTES));
    return ok(Buffer.concat([text, decipher.final()]).toString("utf8"));
  } catch {
    return err("it was encrypted with another key of service account tokens, or it was changed");
  }
}

export function createWrappedKeySecret(caName: string, wrapped: string): SecretObject {
  return {
    metadata: { name: toWrappedKeyName(caName), namespace: SYSTEM_NAMESPACE },
    type: WRAPPED_KEY_TYPE,
    data: { [ENTRY]: encodeBase64(wrapped) },
  };
}

/** Finds the wrapped key in a Secret; undefined when there is none. */
export function findWrappedKey({ type, data }: SecretObject): string | undefined {
  const encoded = data?.[ENTRY];
  if (type !== WRAPPED_KEY_TYPE || encoded === undefined) return undefined;
  return Buffer.from(encoded, "base64").toString("utf8");
}

/** Derives the key from the canonical text of the token key, because copies of its file may differ in line ends. */
function deriveKey(tokenKeyPem: string, salt: Uint8Array): Result<Buffer, string> {
  const parsed = parsePrivateKey(tokenKeyPem);
  if (!parsed.ok) return err(`the key of service account tokens is not usable: ${parsed.error}`);
  return ok(Buffer.from(hkdfSync("sha256", parsed.value.toPem(), salt, PURPOSE, KEY_BYTES)));
}

/** The parts of a cross-signed certificate that do not come from the two CAs. */
interface CrossSignOptions {
  readonly notBefore: Date;
  /** Big-endian bytes from a strong random source. */
  readonly serial: Uint8Array<ArrayBuffer>;
}

/**
 * Finds out why a CA cannot certify another one; undefined when it can. A path length of 0 allows no CA below it: RFC 5280
 * does not count a CA of the same name, but Go does.
 */
export function findCrossSignFault(newCa: CertificateFacts, oldCa: CertificateFacts): string | undefined {
  if (oldCa.maxPathLength === 0) return "the path length 0 of the old CA allows no CA below it";
  if (oldCa.subjectKeyId === undefined && equalBytes(newCa.subject.raw, oldCa.subject.raw)) {
    return "both CAs have the same name, and the old one has no subject key identifier that distinguishes them";
  }
  return undefined;
}

/**
 * Issues a certificate for a new CA with the key of an old one, so that clients that trust the old CA accept leaves of
 * the new one. It has the subject, key, key identifier, usages and name constraints of the new CA, ends with the old
 * one, and allows no more CAs below it than both do. The error is that of `findCrossSignFault`.
 */
export async function crossSign(
  newCa: CertificateFacts,
  oldCa: Authority,
  { notBefore, serial }: CrossSignOptions,
): Promise<Result<CertificateFacts, string>> {
  const fault = findCrossSignFault(newCa, oldCa.certificate);
  if (fault !== undefined) return err(fault);
  const usages = listUsages(newCa);
  const unknown = findUnknownUsages(usages);
  const der = await issueCertificate(
    {
      subject: newCa.subject,
      subjectDer: newCa.subject.raw,
      publicKeyDer: newCa.publicKeyDer,
      subjectKeyId: newCa.subjectKeyId,
      ...NO_ALTERNATIVE_NAMES,
      notBefore,
      notAfter: new Date(Math.min(chainNotAfter(oldCa).getTime(), newCa.notAfter.getTime())),
      // No certificate here needs an extended usage without a Kubernetes name.
      usages: usages.filter((usage) => !unknown.includes(usage)),
      isCa: true,
      maxPathLength: findPathLength(newCa, oldCa.certificate),
      nameConstraints: newCa.nameConstraints,
    },
    // A cross-signed certificate has no CRL URL.
    { certificate: oldCa.certificate, key: oldCa.key },
    serial,
  );
  return parseCertificate(der);
}

/** The old CA allows one CA fewer below the new CA than below itself. */
function findPathLength(newCa: CertificateFacts, oldCa: CertificateFacts): number | undefined {
  const limits = [newCa.maxPathLength, oldCa.maxPathLength === undefined ? undefined : oldCa.maxPathLength - 1];
  const known = limits.filter((limit) => limit !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
