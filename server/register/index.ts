/** An index of the register in memory: its head, the recorded certificates, and the newest certificate of each user. */
import type { IssuedCertificate, IssuedCertificateSpec } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { RecordedCertificates } from "../../core/revocation/revocation_index.ts";
import { type IdentifiedUser, readIdentity, toHolderLabel } from "../../core/register/certificate_user.ts";
import { getChainHash, type RegisterHead } from "../../core/register/record.ts";
import type { StorageEvent, Stored } from "../storage/storage.ts";

/** The seal with the highest sequence number. */
export interface LastSeal {
  readonly sequence: number;
  /** The time of the seal in milliseconds since 1970. */
  readonly time: number;
  readonly issuerFingerprint: string;
}

/**
 * The newest certificate from a signer for a user or, without a user, for its names. Times are in seconds since 1970.
 */
export interface NewestCertificate {
  readonly sequence: number;
  readonly since: number;
  readonly until: number;
  readonly isRevoked: boolean;
}

/** A certificate whose user cannot be determined, so it may belong to anyone. */
export interface UnidentifiedCertificate extends NewestCertificate {
  readonly signerName: string;
}

/** The index of the register, which follows the storage by `followResource`. */
export class RegisterIndex {
  readonly certificates: RecordedCertificates = new RecordedCertificates();
  readonly #listeners = new Set<(record: IssuedCertificate) => void>();
  readonly #newest = new Map<string, Map<string, NewestCertificate>>();
  readonly #unidentified = new Map<number, UnidentifiedCertificate>();
  #last: IssuedCertificateSpec | undefined;
  #head: RegisterHead | undefined;
  #lastSeal: LastSeal | undefined;

  /** The last record; undefined for an empty register. */
  get head(): RegisterHead | undefined {
    // Only the last record of a batch needs a hash, so it is computed when it is read.
    if (this.#last !== undefined) {
      this.#head ??= { sequence: this.#last.sequence, hash: getChainHash(this.#last) };
    }
    return this.#head;
  }

  /** The last seal; undefined for a register that was never sealed. */
  get lastSeal(): LastSeal | undefined {
    return this.#lastSeal;
  }

  get size(): number {
    return this.certificates.size;
  }

  /** Finds the sequence number of the record of a certificate by its SHA-256 (hex); undefined when it is not recorded. */
  findSequence(fingerprint: string): number | undefined {
    return this.certificates.findByFingerprint(fingerprint)?.sequence;
  }

  /** Finds the id of the bootstrap token with which a certificate, or one that it renews, was requested. */
  findTokenId(fingerprint: string): string | undefined {
    return this.certificates.findByFingerprint(fingerprint)?.tokenID;
  }

  /** Calls a listener with each new or changed record. */
  onRecord(listener: (record: IssuedCertificate) => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Finds the newest certificate from the signer of a record for a user or, without a user, for the names of the
   * record. Without a user, subject and names it finds none, because the holder is unknown.
   */
  findNewest(
    spec: Partial<IssuedCertificateSpec>,
    identity: IdentifiedUser | undefined,
  ): NewestCertificate | undefined {
    const label = toHolderLabel(spec, identity);
    return label === "" ? undefined : this.#newest.get(toIssuerKey(spec))?.get(label);
  }

  /** Lists the certificates whose user is unknown, which `findNewest` does not find for a user. */
  listUnidentified(): Iterable<UnidentifiedCertificate> {
    return this.#unidentified.values();
  }

  /** The newest certificates by signer name, or by source if there is no signer, and then by the label of the holder. */
  get newest(): ReadonlyMap<string, ReadonlyMap<string, NewestCertificate>> {
    return this.#newest;
  }

  clear(): void {
    this.certificates.clear();
    this.#newest.clear();
    this.#unidentified.clear();
    this.#lastSeal = undefined;
    this.#setLast(undefined);
  }

  added(name: string, { object: record }: Stored<IssuedCertificate>, change?: StorageEvent<IssuedCertificate>): void {
    if (change !== undefined && record.spec.removed !== undefined) this.removed(name, change);
    const holder = readHolder(record);
    if (change?.previous === undefined) {
      this.#add(record.spec, holder);
      this.#setLast(record.spec);
    }
    this.certificates.put(record);
    this.#noteStatus(record, holder);
    if (change === undefined) return;
    for (const listener of this.#listeners) listener(record);
  }

  removed(name: string, { previous }: StorageEvent<IssuedCertificate>): void {
    this.certificates.remove(name);
    if (previous !== undefined) this.#remove(previous.object);
  }

  #noteStatus({ spec, status: { seal, revocation } }: IssuedCertificate, { label }: Holder): void {
    const { sequence } = spec;
    const byHolder = this.#newest.get(toIssuerKey(spec));
    const newest = byHolder?.get(label);
    const isRevoked = revocation !== undefined;
    if (newest?.sequence === sequence && newest.isRevoked !== isRevoked) {
      byHolder?.set(label, { ...newest, isRevoked });
    }
    const unidentified = this.#unidentified.get(sequence);
    if (unidentified !== undefined) this.#unidentified.set(sequence, { ...unidentified, isRevoked });
    if (seal === undefined || sequence < (this.#lastSeal?.sequence ?? 0)) return;
    const { issuerFingerprint } = seal;
    this.#lastSeal = { sequence, time: toSeconds(seal.time) * 1000, issuerFingerprint };
  }

  #setLast(spec: IssuedCertificateSpec | undefined): void {
    this.#last = spec;
    this.#head = undefined;
  }

  #add(spec: IssuedCertificateSpec, { isKnown, label }: Holder): void {
    const { sequence, removed, isCA } = spec;
    if (removed !== undefined) return;
    const [since, until] = [toSeconds(spec.notBefore), toSeconds(spec.notAfter)];
    const next = { sequence, since, until, isRevoked: false };
    const issuer = toIssuerKey(spec);
    if (!isKnown && isCA !== true) this.#unidentified.set(sequence, { ...next, signerName: issuer });
    let byHolder = this.#newest.get(issuer);
    if (byHolder === undefined) this.#newest.set(issuer, byHolder = new Map());
    const known = byHolder.get(label);
    if (known === undefined || isNewer(next, known)) byHolder.set(label, next);
  }

  #remove(record: IssuedCertificate): void {
    const { spec } = record;
    this.#unidentified.delete(spec.sequence);
    const byHolder = this.#newest.get(toIssuerKey(spec));
    const { label } = readHolder(record);
    if (byHolder?.get(label)?.sequence === spec.sequence) byHolder.delete(label);
  }
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

/** The holder of a certificate: a label, and whether its user is known. */
interface Holder {
  readonly isKnown: boolean;
  readonly label: string;
}

function readHolder(record: IssuedCertificate): Holder {
  const identity = readIdentity(record);
  return { isKnown: identity !== undefined, label: toHolderLabel(record.spec, identity) };
}
