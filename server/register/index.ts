/** An index of the register in memory: its head, the recorded certificates, and the newest certificate of each subject. */
import { createHash } from "node:crypto";
import type { IssuedCertificate, IssuedCertificateSpec } from "../../core/kube/tlsboot_v1alpha1.ts";
import { RecordedCertificates } from "../../core/revocation/recorded_certificates.ts";
import { getChainHash } from "../../core/register/record.ts";
import type { StorageEvent, Stored } from "../storage/storage.ts";

/** The last record, which the next one follows. */
export interface RegisterHead {
  readonly sequence: number;
  readonly hash: string;
}

/** The seal with the highest sequence number. */
export interface LastSeal {
  readonly sequence: number;
  /** The time of the seal in milliseconds since 1970. */
  readonly time: number;
  readonly issuerFingerprint: string;
}

/** The newest certificate of a subject from a signer. Times are in seconds since 1970. */
export interface NewestCertificate {
  readonly sequence: number;
  readonly since: number;
  readonly until: number;
  readonly isRevoked: boolean;
}

const MAX_SUBJECT_LENGTH = 200;

/** The indexed records. It follows a store by `replace` and `apply`. */
export class RegisterIndex {
  readonly certificates: RecordedCertificates = new RecordedCertificates();
  readonly #listeners = new Set<(record: IssuedCertificate) => void>();
  readonly #newest = new Map<string, Map<string, NewestCertificate>>();
  #last: IssuedCertificateSpec | undefined;
  #head: RegisterHead | undefined;
  #lastSeal: LastSeal | undefined;

  /** The last record; undefined for an empty register. */
  get head(): RegisterHead | undefined {
    // A batch of records needs the hash of its last one only, so it is computed when it is read.
    if (this.#last !== undefined) {
      this.#head ??= { sequence: this.#last.sequence, hash: getChainHash(this.#last) };
    }
    return this.#head;
  }

  /** The last seal; undefined for a register that was never sealed. */
  get lastSeal(): LastSeal | undefined {
    return this.#lastSeal;
  }

  /** The number of certificates that the register has. */
  get size(): number {
    return this.certificates.size;
  }

  /** Finds the sequence number of the record of a certificate by its SHA-256 (hex); undefined when it is not recorded. */
  findSequence(fingerprint: string): number | undefined {
    return this.certificates.findByFingerprint(fingerprint)?.sequence;
  }

  /** Finds the id of the bootstrap token with which a certificate or one of those before it was requested. */
  findTokenId(fingerprint: string): string | undefined {
    return this.certificates.findByFingerprint(fingerprint)?.tokenID;
  }

  /** Calls a listener with each new or changed record. */
  onRecord(listener: (record: IssuedCertificate) => void): void {
    this.#listeners.add(listener);
  }

  /** Finds the newest certificate with the signer and the subject of a record. */
  findNewest(spec: Partial<IssuedCertificateSpec>): NewestCertificate | undefined {
    return this.#newest.get(toIssuerKey(spec))?.get(toSubjectKey(spec));
  }

  /** The newest certificates by signer name, or by source where there is no signer, and then by subject. */
  get newest(): ReadonlyMap<string, ReadonlyMap<string, NewestCertificate>> {
    return this.#newest;
  }

  /** Replaces the whole content with stored records in their order. */
  replace(items: readonly Stored[]): void {
    this.certificates.clear();
    this.#newest.clear();
    this.#lastSeal = undefined;
    let last: IssuedCertificateSpec | undefined;
    for (const { object } of items) {
      const record = object as IssuedCertificate;
      last = record.spec;
      this.certificates.put(record);
      this.#add(last);
      this.#noteStatus(record);
    }
    this.#setLast(last);
  }

  apply(events: readonly StorageEvent[]): void {
    for (const { key, current, previous } of events) {
      const spec = current && readSpec(current);
      const name = key.slice(key.lastIndexOf("/") + 1);
      if (spec === undefined || spec.removed !== undefined) this.certificates.remove(name);
      if (previous === undefined && spec !== undefined) {
        this.#add(spec);
        this.#setLast(spec);
      } else if (previous !== undefined && (spec === undefined || spec.removed !== undefined)) {
        this.#remove(readSpec(previous));
      }
      if (current === undefined) continue;
      const record = current.object as IssuedCertificate;
      this.certificates.put(record);
      this.#noteStatus(record);
      for (const listener of this.#listeners) listener(record);
    }
  }

  #noteStatus({ spec, status: { seal, revocation } }: IssuedCertificate): void {
    const { sequence } = spec;
    const newest = this.findNewest(spec);
    const isRevoked = revocation !== undefined;
    if (newest?.sequence === sequence && newest.isRevoked !== isRevoked) {
      this.#newest.get(toIssuerKey(spec))?.set(toSubjectKey(spec), { ...newest, isRevoked });
    }
    if (seal === undefined || sequence < (this.#lastSeal?.sequence ?? 0)) return;
    const { issuerFingerprint } = seal;
    this.#lastSeal = { sequence, time: toSeconds(seal.time) * 1000, issuerFingerprint };
  }

  #setLast(spec: IssuedCertificateSpec | undefined): void {
    this.#last = spec;
    this.#head = undefined;
  }

  #add(spec: IssuedCertificateSpec): void {
    const { sequence, removed } = spec;
    if (removed !== undefined) return;
    const [since, until] = [toSeconds(spec.notBefore), toSeconds(spec.notAfter)];
    const next = { sequence, since, until, isRevoked: false };
    const issuer = toIssuerKey(spec);
    const subject = toSubjectKey(spec);
    let bySubject = this.#newest.get(issuer);
    if (bySubject === undefined) this.#newest.set(issuer, bySubject = new Map());
    const known = bySubject.get(subject);
    if (known === undefined || isNewer(next, known)) bySubject.set(subject, next);
  }

  #remove(spec: IssuedCertificateSpec): void {
    const bySubject = this.#newest.get(toIssuerKey(spec));
    if (bySubject?.get(toSubjectKey(spec))?.sequence === spec.sequence) bySubject.delete(toSubjectKey(spec));
  }
}

/** Every object below the register's prefix is an IssuedCertificate, because only the server writes there. */
function readSpec({ object }: Stored): IssuedCertificateSpec {
  return (object as IssuedCertificate).spec;
}

function isNewer(next: NewestCertificate, known: NewestCertificate): boolean {
  return next.since > known.since || (next.since === known.since && next.until > known.until);
}

function toSeconds(time: string | null | undefined): number {
  const milliseconds = Date.parse(time ?? "");
  return Number.isNaN(milliseconds) ? 0 : Math.floor(milliseconds / 1000);
}

/** Signer names contain a slash, and sources do not. */
function toIssuerKey({ signerName, source }: Partial<IssuedCertificateSpec>): string {
  return signerName ?? source ?? "";
}

/** Returns the subject, or the alternative names when it is empty; a long text is cut and ends with its digest. */
export function toSubjectKey(spec: Partial<IssuedCertificateSpec>): string {
  const { subject, dnsNames = [], ipAddresses = [], emailAddresses = [], uris = [] } = spec;
  const name = subject ?? [...dnsNames, ...ipAddresses, ...emailAddresses, ...uris].sort().join(",");
  if (name.length <= MAX_SUBJECT_LENGTH) return name;
  return `${name.slice(0, MAX_SUBJECT_LENGTH)}… ${createHash("sha256").update(name).digest("hex")}`;
}
