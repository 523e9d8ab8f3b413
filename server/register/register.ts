/**
 * The register of issued certificates over a storage. Each new record is written in one transaction with the object that
 * makes its certificate public, so that no certificate is without a record.
 */
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { AppError } from "../../core/errors.ts";
import { formatTime } from "../../core/kube/meta.ts";
import type { IssuedCertificate, IssuedCertificateSpec } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { equalBytes } from "../../core/pki/asn1/der.ts";
import type { Clock, Random } from "../../core/ports.ts";
import {
  type CertificateDescription,
  createRecord,
  createRecordStatus,
  describeIssued,
  formatRecordName,
  hashRecord,
} from "../../core/register/record.ts";
import { readIdentity } from "../../core/register/certificate_user.ts";
import { issuedCertificates } from "../registry/tlsboot_v1alpha1.ts";
import { createUid, toKeyPrefix } from "../registry/registry.ts";
import { followResource } from "../storage/follow.ts";
import {
  AlreadyExistsError,
  RevisionConflictError,
  type Storage,
  type StorageEvent,
  type StorageWatch,
  type Write,
  WriteRefusedError,
} from "../storage/storage.ts";
import { RegisterIndex } from "./index.ts";

export const REGISTER_PREFIX = toKeyPrefix(issuedCertificates, "");

export interface RegisterDeps {
  readonly storage: Storage;
  readonly clock: Pick<Clock, "now">;
  readonly random: Random;
}

/** A certificate to record, and the writes that must take effect with its record. */
interface Job {
  readonly description: CertificateDescription;
  readonly writes: readonly Write[];
  /** When it was issued, if that was not now. */
  readonly issuedAt: Date | undefined;
  resolve(events: readonly StorageEvent[]): void;
  reject(error: unknown): void;
}

/** The largest number of jobs in a transaction, where one may have several records. */
const MAX_BATCH = 64;
/** The attempts to append after the records of other servers, and the pause when their records have not arrived yet. */
const MAX_ATTEMPTS = 50;
const RETRY_MS = 100;

/** The register. Records are appended one transaction after the other, because each holds the hash of the one before. */
export class Register implements Disposable {
  readonly index: RegisterIndex;
  readonly #deps: RegisterDeps;
  readonly #authorities = new Map<string, CertificateFacts>();
  #watch: StorageWatch | undefined;
  #waiting: Job[] = [];
  #isRunning = false;

  private constructor(deps: RegisterDeps) {
    this.#deps = deps;
    this.index = new RegisterIndex();
  }

  /** Reads the register of a storage and follows its changes until it is disposed. */
  static async open(deps: RegisterDeps): Promise<Register> {
    const register = new Register(deps);
    register.#watch = await followResource(deps.storage, REGISTER_PREFIX, register.index);
    return register;
  }

  /** Stops following the storage; its owner disposes the storage. */
  [Symbol.dispose](): void {
    this.#watch?.stop();
  }

  /**
   * Records a certificate and makes writes in the same transaction; returns the changes of the writes. A certificate that
   * is recorded already gets no second record. `issuedAt` is the present time by default. Rejects as `Storage.transact` for
   * the writes.
   */
  record(
    description: CertificateDescription,
    writes: readonly Write[],
    issuedAt?: Date,
  ): Promise<readonly StorageEvent[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ description, writes, issuedAt, resolve, reject });
      void this.#run();
    });
  }

  /** The CAs that were recorded in this run, which issue the certificates of this installation. */
  get authorities(): readonly CertificateFacts[] {
    return [...this.#authorities.values()];
  }

  /** Records a certificate that came without a request, unless it is recorded already. */
  async ensureRecorded(certificate: CertificateFacts, source: "ca" | "kubeconfig" | "serving" | "sign"): Promise<void> {
    if (source === "ca") this.#authorities.set(certificate.sha256Fingerprint, certificate);
    if (this.index.findSequence(certificate.sha256Fingerprint) !== undefined) return;
    const issuer = findIssuer(certificate, this.authorities);
    const issuerFingerprint = issuer === undefined ? {} : { issuerFingerprint: issuer.sha256Fingerprint };
    await this.record(describeIssued(certificate, { source, ...issuerFingerprint }), []);
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    // Jobs that the same turn of the event loop adds share a transaction.
    await setImmediate();
    while (this.#waiting.length > 0) {
      const jobs = this.#takeBatch();
      // An unexpected error must not stop the jobs that follow.
      await this.#commit(jobs).catch((error: unknown) => jobs.forEach((job) => job.reject(error)));
    }
    this.#isRunning = false;
  }

  /** Takes the jobs of the next transaction, which must not write a key twice. */
  #takeBatch(): readonly Job[] {
    const most = this.#deps.storage.sharesRevisions ? 1 : MAX_BATCH;
    const batch: Job[] = [];
    const later: Job[] = [];
    const keys = new Set<string>();
    for (const job of this.#waiting) {
      if (batch.length === most || job.writes.some(({ key }) => keys.has(key))) later.push(job);
      else {
        batch.push(job);
        for (const { key } of job.writes) keys.add(key);
      }
    }
    this.#waiting = later;
    return batch;
  }

  /** Commits jobs in one transaction; those whose own writes do not hold are rejected, and the rest is tried again. */
  async #commit(jobs: readonly Job[]): Promise<void> {
    let rest = jobs;
    for (let attempt = 1; rest.length > 0; attempt++) {
      const before = this.index.head?.sequence;
      try {
        const writes = [...this.#createRecords(rest), ...rest.flatMap((job) => job.writes)];
        const events = await this.#deps.storage.transact(writes);
        settle(rest, events.slice(events.length - rest.reduce((sum, job) => sum + job.writes.length, 0)));
        return;
      } catch (error) {
        const key = error instanceof AlreadyExistsError || error instanceof RevisionConflictError
          ? error.key
          : undefined;
        const failed = rest.find((job) => job.writes.some((write) => write.key === key));
        if (failed !== undefined) {
          failed.reject(error);
          rest = rest.filter((job) => job !== failed);
        } else if (key !== undefined && attempt < MAX_ATTEMPTS) {
          // Another server has appended. Its records arrive by the watch, which may have to start again.
          if (this.index.head?.sequence === before) await sleep(RETRY_MS);
        } else if (rest.length > 1 && error instanceof WriteRefusedError && error.why === "tooLarge") {
          for (const job of rest) await this.#commit([job]);
          return;
        } else {
          const reason = key === undefined ? error : createBusyError(error);
          for (const job of rest) job.reject(reason);
          return;
        }
      }
    }
  }

  /** Creates the records of the certificates that are not recorded yet, in the order of the jobs. */
  #createRecords(jobs: readonly Job[]): readonly Write[] {
    const { clock, random } = this.#deps;
    const now = clock.now();
    const { head } = this.index;
    let last: IssuedCertificateSpec | undefined;
    const fingerprints = new Set<string>();
    const writes: Write[] = [];
    for (const { description, issuedAt = now } of jobs) {
      if (this.#isRecorded(description, fingerprints)) continue;
      const sequence = (last ?? head)?.sequence ?? 0;
      const previousHash = last === undefined ? head?.hash : hashRecord(last);
      const replaces = this.#findReplaced(description);
      last = createRecord(description, {
        sequence: sequence + 1,
        ...(previousHash === undefined ? {} : { previousHash }),
        issuedAt,
        ...(replaces === undefined ? {} : { replaces }),
      });
      const name = formatRecordName(last.sequence);
      const object: IssuedCertificate = {
        metadata: { name, uid: createUid(random), creationTimestamp: formatTime(now) },
        spec: last,
        status: createRecordStatus(description),
      };
      writes.push({ kind: "create", key: `${REGISTER_PREFIX}${name}`, object });
    }
    return writes;
  }

  /** Reports whether a certificate is recorded, or is by an earlier job of the same transaction. */
  #isRecorded({ fingerprint }: CertificateDescription, ofTransaction: Set<string>): boolean {
    if (fingerprint === undefined) return false;
    if (this.index.findSequence(fingerprint) !== undefined || ofTransaction.has(fingerprint)) return true;
    ofTransaction.add(fingerprint);
    return false;
  }

  #findReplaced(description: CertificateDescription): string | undefined {
    const identity = readIdentity({ spec: description, status: description });
    const newest = this.index.findNewest(description, identity);
    if (newest === undefined || newest.since > Date.parse(description.notBefore ?? "") / 1000) return undefined;
    return formatRecordName(newest.sequence);
  }
}

/** Finds the CA of a certificate by its name and key identifier. */
export function findIssuer(
  { issuer, authorityKeyId }: CertificateFacts,
  candidates: readonly CertificateFacts[],
): CertificateFacts | undefined {
  return candidates.find(({ subject, subjectKeyId }) =>
    equalBytes(subject.raw, issuer.raw) &&
    (authorityKeyId === undefined || subjectKeyId === undefined || authorityKeyId === subjectKeyId)
  );
}

/** Resolves each job with the changes of its own writes. */
function settle(jobs: readonly Job[], events: readonly StorageEvent[]): void {
  let at = 0;
  for (const { writes, resolve } of jobs) {
    resolve(events.slice(at, at + writes.length));
    at += writes.length;
  }
}

function createBusyError(cause: unknown): AppError {
  return new AppError("unreachable", "cannot record the certificate: other servers have appended to the register", {
    cause,
    retryable: true,
  });
}
