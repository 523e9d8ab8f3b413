/** The new CA of a rotation: what it has in common with the old one, and the faults for which a rotation does not begin. */
import type { CaRotation, IssuedCertificate } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { formatTime } from "../kube/meta.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type CertificateChain, chainNotAfter } from "../pki/authority/authority_chain.ts";
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import { findCrossSignFault } from "../pki/authority/cross_sign.ts";
import { findKeyAlgorithm, isPrivateKeyAlgorithm, type KeyAlgorithm } from "../pki/keys/key_algorithm.ts";
import type { NameConstraints } from "../pki/x509/name_constraints.ts";
import { publicKeysEqual } from "../pki/keys/public_key.ts";
import { findIssuersFault } from "../pki/authority/serving_certificate.ts";
import { isAborting, isInProgress } from "./rotation_rules.ts";

/** The properties that a new CA takes over from the old one where the operator gives no others. */
export interface InheritedProperties {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly keyAlgorithm: KeyAlgorithm;
  /** The lifetime of the old CA, so that the new one ends later. */
  readonly lifetimeMs: number;
  readonly nameConstraints: NameConstraints | undefined;
}

/** A reason why a rotation does not begin, and what the operator can do. */
export interface BeginFault {
  readonly message: string;
  readonly hint: string;
}

/** Returns what a new CA has in common with an old one. Its name differs, so that people and logs can distinguish them. */
export function inheritProperties({ certificate, issuers }: CertificateChain): InheritedProperties {
  const { keyAlgorithm: algorithm, keyBits: bits, notBefore, notAfter, subject } = certificate;
  const constrained = [certificate, ...issuers].find((one) => one.nameConstraints !== undefined);
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

/** Finds out why one CA cannot replace another; undefined when it can. Without the old key nothing is cross-signed. */
export function findBeginFault(
  newCa: CertificateChain,
  oldCa: CertificateChain,
  { isLeaked }: { readonly isLeaked: boolean },
): BeginFault | undefined {
  const [newer, older] = [newCa.certificate, oldCa.certificate];
  if (newer.sha256Fingerprint === older.sha256Fingerprint) {
    return { message: "it is the present CA", hint: "give another one, or let a new one be made" };
  }
  if (publicKeysEqual(newer.publicKeyDer, older.publicKeyDer)) {
    return {
      message: "it has the key of the present CA",
      hint: "give a CA with a key of its own; a program that holds the keys must answer with another key for " +
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
  const isAlike = older.maxPathLength !== 0;
  return {
    message: `the present CA cannot certify it: ${crossSignFault}`,
    hint: isAlike
      ? "give a CA with another name"
      : "replace it at once with tlsboot ca rotate now, after which every machine has to join again",
  };
}

/** A certificate that the new CA could not have issued. */
export interface ExcludedCertificate {
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

  /** Whether the new CA or one above it has constraints at all; without them no record has to be read. */
  get isPossible(): boolean {
    return this.#newCa.some(({ nameConstraints }) => nameConstraints !== undefined);
  }

  /** Checks a record of the register, if it is of a certificate of the old CA that is in use. */
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

/** What the operator has asked for explicitly when a rotation is in progress already. */
export interface RepeatedBegin {
  /** SHA-256 (hex) of the CA in the file that is given. */
  readonly fingerprint: string | undefined;
  /** The old key has leaked, which also overrules an abort. */
  readonly isLeaked: boolean;
}

/**
 * Decides what to do about an earlier rotation of the same CA: `begin` when there is none, or it is finished; `continue`
 * when the same one is repeated. The error says why another one cannot begin.
 */
export function decideBegin(
  existing: CaRotation | undefined,
  newCa: CertificateFacts | undefined,
  repeated: RepeatedBegin,
): Result<"begin" | "continue", string> {
  if (existing === undefined || newCa === undefined || !isInProgress(existing)) return ok("begin");
  const { fingerprint, isLeaked } = repeated;
  const began = `a rotation to "${newCa.subject.commonName}" is in progress since ${existing.status.beganAt}`;
  if (isAborting(existing) && !isLeaked) return err(`${began}, and is being taken back`);
  if (fingerprint !== undefined && fingerprint !== newCa.sha256Fingerprint) return err(`${began}, with another CA`);
  return ok("continue");
}
