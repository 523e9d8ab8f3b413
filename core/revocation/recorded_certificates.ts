/** The facts of the register on which revocations depend, as an index over the records of issued certificates. */
import { findTokenId } from "../token/token_secret.ts";
import { getName } from "../kube/meta.ts";
import type { IssuedCertificate } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { readIdentity } from "../register/certificate_user.ts";

/** The facts in the register about one certificate. */
export interface RecordedCertificate {
  /** The position in the register. */
  readonly sequence: number;
  readonly serialNumber: string;
  /** A certificate of a CA and the serving certificate of a server cannot be revoked. */
  readonly origin: "ca" | "serving" | "other";
  /** The token with which it was requested, or with which the first certificate in its chain of renewals was. */
  readonly tokenID: string | undefined;
  /** The sequence number of the first certificate in the chain of renewals that ends here; its own without renewals. */
  readonly firstSequence: number;
}

/** Finds the record of a certificate by the SHA-256 (hex) of its DER. */
export type FindRecorded = (fingerprint: string) => RecordedCertificate | undefined;

/** The index. Records must be put in the order of their sequence numbers. */
export class RecordedCertificates {
  readonly #byName = new Map<string, { readonly fingerprint: string; readonly recorded: RecordedCertificate }>();
  readonly #byFingerprint = new Map<string, RecordedCertificate>();
  readonly #bySerial = new Map<string, RecordedCertificate>();
  readonly #tokenIDs = new Map<string, number>();
  readonly #marked = new Set<string>();
  #lastSequence = 0;

  /** The largest sequence number so far; 0 for an empty register. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  clear(): void {
    this.#byName.clear();
    this.#byFingerprint.clear();
    this.#bySerial.clear();
    this.#tokenIDs.clear();
    this.#marked.clear();
    this.#lastSequence = 0;
  }

  /** The number of certificates that are in the index. */
  get size(): number {
    return this.#byFingerprint.size;
  }

  /** The number of records that are marked as revoked. */
  get markedCount(): number {
    return this.#marked.size;
  }

  /** Adds a record. Of one that is known already only the mark can have changed. */
  put(record: IssuedCertificate): void {
    const name = getName(record);
    if (record.status.revocation === undefined) this.#marked.delete(name);
    else this.#marked.add(name);
    const { sequence, fingerprint = "", serialNumber = "", isCA = false, source, removed } = record.spec;
    this.#lastSequence = Math.max(this.#lastSequence, sequence);
    if (fingerprint === "" || removed !== undefined || this.#byName.has(name)) return;
    const renewed = this.#findRenewed(record);
    const recorded: RecordedCertificate = {
      sequence,
      serialNumber,
      origin: isCA || source === "ca" ? "ca" : source === "serving" ? "serving" : "other",
      tokenID: findRequestingToken(record) ?? renewed?.tokenID,
      firstSequence: renewed?.firstSequence ?? sequence,
    };
    this.#byName.set(name, { fingerprint, recorded });
    this.#byFingerprint.set(fingerprint, recorded);
    if (serialNumber !== "") this.#bySerial.set(serialNumber, recorded);
    this.#countToken(recorded, 1);
  }

  /** Removes a record after its retention. */
  remove(name: string): void {
    this.#marked.delete(name);
    const known = this.#byName.get(name);
    if (known === undefined) return;
    const { fingerprint, recorded } = known;
    this.#byName.delete(name);
    this.#byFingerprint.delete(fingerprint);
    if (this.#bySerial.get(recorded.serialNumber) === recorded) this.#bySerial.delete(recorded.serialNumber);
    this.#countToken(recorded, -1);
  }

  readonly findByFingerprint: FindRecorded = (fingerprint) => this.#byFingerprint.get(fingerprint);

  findBySerialNumber(serialNumber: string): RecordedCertificate | undefined {
    return this.#bySerial.get(serialNumber);
  }

  /** Reports whether a certificate in the register was requested with a token. */
  hasToken(tokenID: string): boolean {
    return this.#tokenIDs.has(tokenID);
  }

  #countToken({ tokenID }: RecordedCertificate, change: number): void {
    if (tokenID === undefined) return;
    const count = (this.#tokenIDs.get(tokenID) ?? 0) + change;
    if (count > 0) this.#tokenIDs.set(tokenID, count);
    else this.#tokenIDs.delete(tokenID);
  }

  /**
   * Finds the certificate of the requester when it is of the same user; otherwise the request is no renewal. A certificate of
   * an unknown user counts as a renewal, so that it is revoked with the earlier one.
   */
  #findRenewed(record: IssuedCertificate): RecordedCertificate | undefined {
    const { requester = {}, replaces = "" } = record.spec;
    if (requester.certificateFingerprint === undefined && replaces === "") return undefined;
    const identity = readIdentity(record);
    if (requester.username === undefined || (identity !== undefined && requester.username !== identity.username)) {
      return undefined;
    }
    return this.#byFingerprint.get(requester.certificateFingerprint ?? "") ?? this.#byName.get(replaces)?.recorded;
  }
}

function findRequestingToken({ spec: { requester = {} } }: IssuedCertificate): string | undefined {
  return requester.tokenID ?? findTokenId(requester.username ?? "");
}
