/** Checks a register: sequence numbers, hashes, and the seals of given CAs. It finds the first invalid record. */
import type { IssuedCertificate, IssuedCertificateSpec } from "../kube/kinds/tlsboot_v1alpha1.ts";
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import { readIdentity } from "./certificate_user.ts";
import { formatRecordName, getChainHash, isValidSeal, type RegisterHead, SEAL_INTERVAL_MS } from "./record.ts";
import { omitUndefined } from "../lib/record.ts";

/** The part of a record that is checked; a line of an issued log has no metadata. */
export interface CheckedRecord {
  readonly metadata?: { readonly name?: string };
  readonly spec: IssuedCertificateSpec;
  readonly status?: Partial<IssuedCertificate["status"]>;
}

/** The first invalid record of a register. */
export interface RegisterFault {
  readonly name: string;
  /** Text that follows the name, such as "is missing: 0000000009 follows 0000000007". */
  readonly problem: string;
}

/** The last record with a valid seal of one of the given CAs. */
interface SealedUpTo {
  readonly name: string;
  readonly time: string;
  readonly issuerFingerprint: string;
}

/** The result of a check. Without a fault it covers the whole register. */
export interface RegisterReport {
  /** The number of records that were read. */
  readonly records: number;
  /** The last record and its hash. A caller that keeps both can detect later that the register was cut off. */
  readonly head?: { readonly name: string; readonly hash: string };
  /** Absent when no seal of the given CAs was found. */
  readonly sealedUpTo?: SealedUpTo;
  /** The number of seals of CAs that were not given, which were not checked. */
  readonly uncheckedSeals: number;
  readonly fault?: RegisterFault;
  /** Text that follows "the register" when a seal is overdue. Then records may be missing at its end. */
  readonly overdueSeal?: string;
}

/** The CAs whose seals are checked, and other facts that the caller knows about the register. */
interface VerifyOptions {
  readonly cas: readonly CertificateFacts[];
  /** The current time, for a register that a server seals every day; undefined for a log. */
  readonly now?: Date | undefined;
  /** A record that must exist with this hash: an earlier head, or a record that a server reported as sealed. */
  readonly expected?: RegisterHead | undefined;
}

/**
 * The age at which the newest seal is overdue. A server that was down for a while, or whose key was locked, seals late.
 */
const MAX_SEAL_AGE_MS = 2 * SEAL_INTERVAL_MS;

/** Checks all records of a register in order, up to the first fault. Rejects only when the iteration does. */
export async function verifyRecords(
  records: Iterable<CheckedRecord> | AsyncIterable<CheckedRecord>,
  options: VerifyOptions,
): Promise<RegisterReport> {
  const check = new ChainCheck(options);
  for await (const record of records) {
    const fault = check.add(record);
    if (fault !== undefined) return check.report(fault);
  }
  return check.report(check.finish());
}

interface Link {
  readonly name: string;
  readonly sequence: number;
  /** The hash that the next record must hold. */
  readonly hash: string;
}

class ChainCheck {
  readonly #cas: ReadonlyMap<string, CertificateFacts>;
  readonly #now: Date | undefined;
  readonly #expected: RegisterHead | undefined;
  readonly #fingerprints = new Map<string, string>();
  #records = 0;
  #last: Link | undefined;
  #sealedUpTo: SealedUpTo | undefined;
  /** The time of the newest seal that was made at the end of the register. */
  #endSealedAt: string | undefined;
  /** The time of the first record; undefined for a stub, which is older than any valid certificate. */
  #beganAt: string | undefined;
  #uncheckedSeals = 0;
  /** The name of a record whose hash differs from the one in the last record. One of the two was changed. */
  #disputed: string | undefined;

  constructor({ cas, now, expected }: VerifyOptions) {
    this.#cas = new Map(cas.map((ca) => [ca.sha256Fingerprint, ca]));
    this.#now = now;
    this.#expected = expected;
  }

  add(record: CheckedRecord): RegisterFault | undefined {
    this.#records += 1;
    const { spec } = record;
    const name = record.metadata?.name ?? nameRecord(spec, this.#last);
    const fault = findShapeFault(record, name) ?? this.#settleDispute(spec) ?? this.#findGap(spec, name);
    if (fault !== undefined) return fault;
    if (spec.previousHash !== this.#last?.hash) {
      if (this.#last === undefined) return { name, problem: "is the first, but holds the hash of another record" };
      if (!this.#isOverlap(spec)) this.#disputed = this.#last.name;
    }
    if (this.#last === undefined) this.#beganAt = spec.issuedAt ?? undefined;
    this.#last = { name, sequence: spec.sequence, hash: getChainHash(spec) };
    return this.#checkSeal(record, name) ?? this.#findRepeated(spec, name) ??
      this.#findUnexpected(spec, this.#last) ?? findIdentityFault(record, name);
  }

  /** Ends the check. Without a later record, a dispute is settled in favor of the last record. */
  finish(): RegisterFault | undefined {
    if (this.#disputed !== undefined) return changedRecord(this.#disputed);
    const { sequence = 0 } = this.#expected ?? {};
    if (sequence <= (this.#last?.sequence ?? 0)) return undefined;
    const end = this.#last === undefined ? "the register is empty" : `the register ends with ${this.#last.name}`;
    return { name: formatRecordName(sequence), problem: `is expected, but it is missing: ${end}` };
  }

  report(fault: RegisterFault | undefined): RegisterReport {
    const overdueSeal = fault === undefined ? this.#findOverdueSeal() : undefined;
    return {
      records: this.#records,
      uncheckedSeals: this.#uncheckedSeals,
      ...omitUndefined({
        head: this.#last && { name: this.#last.name, hash: this.#last.hash },
        sealedUpTo: this.#sealedUpTo,
        fault,
        overdueSeal,
      }),
    };
  }

  /** Finds out whether the register should have a newer seal. Without a CA no seal was checked, so nothing is known. */
  #findOverdueSeal(): string | undefined {
    if (this.#now === undefined || this.#cas.size === 0 || this.#last === undefined) return undefined;
    const oldest = this.#now.getTime() - MAX_SEAL_AGE_MS;
    if (this.#endSealedAt === undefined) {
      return Date.parse(this.#beganAt ?? "") >= oldest ? undefined : "has no seal of the CA";
    }
    return Date.parse(this.#endSealedAt) >= oldest ? undefined : `was sealed for the last time at ${this.#endSealedAt}`;
  }

  /**
   * Decides by the next record which of two records was changed: the first, if the next record holds the hash of the
   * second, which covers its previousHash; otherwise the second.
   */
  #settleDispute({ previousHash }: IssuedCertificateSpec): RegisterFault | undefined {
    if (this.#disputed === undefined || this.#last === undefined) return undefined;
    return changedRecord(previousHash === this.#last.hash ? this.#disputed : this.#last.name);
  }

  #findGap({ sequence, removed }: IssuedCertificateSpec, name: string): RegisterFault | undefined {
    const expected = (this.#last?.sequence ?? 0) + 1;
    const from = removed?.from ?? sequence;
    // Records that a stub replaces may still exist, because a removal was interrupted.
    if (from === expected || (removed !== undefined && from < expected && sequence >= expected)) return undefined;
    if (from < expected) return { name, problem: `is out of order: it follows ${this.#last?.name}` };
    const after = this.#last === undefined ? "is the first record" : `follows ${this.#last.name}`;
    return { name: formatRecordName(expected), problem: `is missing: ${name} ${after}` };
  }

  /** Reports whether a record is a stub whose removed records still exist. */
  #isOverlap({ removed }: IssuedCertificateSpec): boolean {
    return removed !== undefined && this.#last !== undefined && removed.from <= this.#last.sequence;
  }

  #checkSeal({ spec, status }: CheckedRecord, name: string): RegisterFault | undefined {
    const seal = status?.seal;
    if (seal === undefined) {
      return spec.removed === undefined
        ? undefined
        : { name, problem: "replaces removed records, but no CA has sealed it" };
    }
    const ca = this.#cas.get(seal.issuerFingerprint);
    if (ca === undefined) {
      this.#uncheckedSeals += 1;
      return undefined;
    }
    if (isValidSeal(spec, seal, ca)) {
      // The record is as it was sealed, so the one before it was changed.
      if (this.#disputed !== undefined) return changedRecord(this.#disputed);
      this.#sealedUpTo = { name, time: seal.time ?? "", issuerFingerprint: seal.issuerFingerprint };
      // A stub is sealed when it is made, wherever it is in the register. Only a later seal marks the end of the
      // register.
      if (spec.removed?.time !== seal.time) this.#endSealedAt = seal.time ?? "";
      return undefined;
    }
    const sealed = this.#sealedUpTo;
    const since = sealed === undefined ? "the first record" : `${sealed.name}, the last valid seal,`;
    return {
      name,
      problem: `does not match its seal: it was changed, or the hashes since ${since} were computed again`,
    };
  }

  #findUnexpected({ removed }: IssuedCertificateSpec, { name, sequence, hash }: Link): RegisterFault | undefined {
    const { sequence: expected = 0, hash: expectedHash } = this.#expected ?? {};
    if (expected === sequence) {
      return expectedHash === hash
        ? undefined
        : { name, problem: `has the hash ${hash}, but ${expectedHash} is expected` };
    }
    if (removed === undefined || expected < removed.from || expected > sequence) return undefined;
    return { name, problem: `replaces ${formatRecordName(expected)}, which was removed after its retention` };
  }

  #findRepeated({ fingerprint }: IssuedCertificateSpec, name: string): RegisterFault | undefined {
    if (fingerprint === undefined) return undefined;
    const earlier = this.#fingerprints.get(fingerprint);
    this.#fingerprints.set(fingerprint, name);
    return earlier === undefined ? undefined : { name, problem: `records the same certificate as ${earlier}` };
  }
}

function changedRecord(name: string): RegisterFault {
  return { name, problem: "was changed: its hash is not the one that the records around it hold" };
}

function findShapeFault({ metadata, spec }: CheckedRecord, name: string): RegisterFault | undefined {
  if (typeof spec !== "object" || spec === null || !Number.isSafeInteger(spec.sequence) || spec.sequence < 1) {
    return { name, problem: "is not a record: its spec has no sequence number" };
  }
  if (metadata?.name === undefined || metadata.name === formatRecordName(spec.sequence)) return undefined;
  return { name, problem: `has the sequence number ${spec.sequence} of another record` };
}

/** Compares the user, which the hash does not cover, with the subject, which it does. */
function findIdentityFault({ spec, status }: CheckedRecord, name: string): RegisterFault | undefined {
  if (status?.identifies === undefined || spec.removed !== undefined) return undefined;
  const bySubject = readIdentity({ spec });
  if (bySubject === undefined) return undefined;
  if (JSON.stringify(readIdentity({ spec, status })) === JSON.stringify(bySubject)) return undefined;
  return { name, problem: "was changed: the user that it identifies is not the one in its subject" };
}

/** Returns the name of a record without metadata, by its sequence number or else by its place. */
function nameRecord(spec: IssuedCertificateSpec | undefined, last: Link | undefined): string {
  const sequence = spec?.sequence;
  return formatRecordName(Number.isSafeInteger(sequence) ? sequence! : (last?.sequence ?? 0) + 1);
}
