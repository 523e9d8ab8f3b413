/**
 * The upkeep of the register. The CA seals it once a day even if nothing was issued, when the CA has changed, and when
 * the server stops; each seal is logged. Records are removed when their retention ends, and RequestRecords when their
 * requests are gone. Certificates in requests without a record, which an earlier build or a kube-apiserver on the same
 * etcd has written, are recorded. Servers that share a storage may all do this, because every write is guarded by a
 * revision.
 */
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { isAppError } from "../../core/errors.ts";
import { getName } from "../../core/kube/meta.ts";
import { DAY_MS } from "../../core/lib/duration.ts";
import { omitUndefined } from "../../core/lib/record.ts";
import type {
  IssuedCertificate,
  IssuedCertificateSpec,
  RequestRecord,
} from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import {
  createSeal,
  createStub,
  formatRecordName,
  getChainHash,
  planPruning,
  type PrunableRecord,
  type PrunableRun,
  SEAL_INTERVAL_MS,
} from "../../core/register/record.ts";
import { certificateSigningRequests } from "../registry/certificates_v1.ts";
import { toKeyPrefix, toStorageKey } from "../registry/registry.ts";
import { requestRecords } from "../registry/tlsboot_v1alpha1.ts";
import type { Storage, StorageEvent, Stored } from "../storage/storage.ts";
import { followResource } from "../storage/follow.ts";
import { findLeafCertificate, hashFirstBlock } from "../../core/request/issued_certificate.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { describeRequested, type Register, REGISTER_PREFIX, type RequestCommitDeps } from "./register.ts";

export interface UpkeepDeps {
  readonly storage: Storage;
  readonly register: Register;
  /** Returns the CA that seals the register now. */
  readonly authority: () => Pick<Authority, "certificate" | "key">;
  /** How long a record is kept after its certificate has expired. */
  readonly retentionMs: number;
  readonly clock: Pick<Clock, "now" | "elapsedMs">;
  readonly logger: Logger;
  /** Receives each seal, for the audit log. */
  readonly onSealed?: ((seal: ReportedSeal) => void) | undefined;
}

/** A seal as reported outside of the register, where users who can change the register cannot change the seal. */
export interface ReportedSeal {
  readonly record: string;
  /** The value for `tlsboot verify certificates --expect`: the sequence number of the record, and its hash. */
  readonly expect: string;
}

/** The pause after a failure, such as a key that cannot be used. */
const RETRY_MS = 3_600_000;
/** How long the CA's key may take to sign when the server stops. */
const STOP_MS = 5_000;
const PAGE_SIZE = 1_000;
const DELETED_AT_ONCE = 64;

/** The upkeep of a register while its server runs. Disposing it seals the register. */
export class RegisterUpkeep implements AsyncDisposable {
  readonly #deps: UpkeepDeps;
  #nextSealMs = 0;
  #nextCleaningMs = 0;

  constructor(deps: UpkeepDeps) {
    this.#deps = deps;
  }

  async sealIfDue(): Promise<void> {
    const { clock, logger } = this.#deps;
    if (!this.#isSealDue() || clock.elapsedMs() < this.#nextSealMs) return;
    try {
      await this.#seal();
    } catch (error) {
      this.#nextSealMs = clock.elapsedMs() + RETRY_MS;
      logger.warn("cannot seal the register, trying again in an hour", { error });
    }
  }

  /** Seals and cleans the register if that is due. Call it each minute. Failures are logged. */
  async renew(): Promise<void> {
    const { clock, logger } = this.#deps;
    await this.sealIfDue();
    if (clock.elapsedMs() < this.#nextCleaningMs) return;
    try {
      this.#nextCleaningMs = clock.elapsedMs() + DAY_MS;
      await this.#prune();
      await this.#deleteOrphans();
    } catch (error) {
      this.#nextCleaningMs = clock.elapsedMs() + RETRY_MS;
      logger.warn("cannot remove old records, trying again in an hour", { error });
    }
  }

  /** Seals the register unless its last record is sealed. A failure, such as an unusable key, is logged. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasUnsealed()) return;
    const abort = new AbortController();
    const late = sleep(STOP_MS, undefined, { signal: abort.signal }).then(() => {
      throw new Error(`the key of the CA did not sign within ${STOP_MS / 1000} s`);
    });
    try {
      await Promise.race([this.#seal(), late]);
    } catch (error) {
      this.#deps.logger.warn("the register is not sealed, the next start will do it", { error });
    } finally {
      abort.abort();
      late.catch(() => undefined);
    }
  }

  /** True when there is a record after the last seal. */
  #hasUnsealed(): boolean {
    const { index: { head, lastSeal } } = this.#deps.register;
    return head !== undefined && lastSeal?.sequence !== head.sequence;
  }

  #isSealDue(): boolean {
    const { register: { index: { head, lastSeal } }, authority, clock } = this.#deps;
    if (head === undefined) return false;
    if (lastSeal === undefined) return true;
    // If the clock was set back, the last seal may be in the future.
    return lastSeal.issuerFingerprint !== authority().certificate.sha256Fingerprint ||
      Math.abs(clock.now().getTime() - lastSeal.time) >= SEAL_INTERVAL_MS;
  }

  async #seal(): Promise<void> {
    const { storage, register, authority, clock } = this.#deps;
    const { head } = register.index;
    if (head === undefined) return;
    const key = `${REGISTER_PREFIX}${formatRecordName(head.sequence)}`;
    const stored = await storage.get(key);
    if (stored === undefined) return;
    const record = stored.object as IssuedCertificate;
    const seal = await createSeal(record.spec, authority(), clock.now());
    try {
      await storage.update(
        key,
        { ...record, status: { ...record.status, seal } } as IssuedCertificate,
        stored.revision,
      );
    } catch (error) {
      // Another server has sealed the record or written its revocation; the next minute decides again.
      if (!isAppError(error, "conflict")) throw error;
      return;
    }
    this.#report(record.spec);
  }

  #report(spec: IssuedCertificateSpec): void {
    const { logger, onSealed } = this.#deps;
    const seal = { record: formatRecordName(spec.sequence), expect: `${spec.sequence}:${getChainHash(spec)}` };
    logger.info("register sealed", seal);
    onSealed?.(seal);
  }

  /** Replaces the runs of records whose retention has ended with sealed stubs. */
  async #prune(): Promise<void> {
    const { clock, retentionMs, logger } = this.#deps;
    const runs = planPruning(await this.#readRecords(), new Date(clock.now().getTime() - retentionMs));
    for (const run of runs) await this.#removeRun(run);
    if (runs.length > 0) {
      const removed = runs.reduce((sum, { first, last }) => sum + last - first + 1, 0);
      logger.info("old records of issued certificates removed", { removed });
    }
  }

  /** Reads the fields of all records that the planning of a removal needs. */
  async #readRecords(): Promise<readonly PrunableRecord[]> {
    const records: PrunableRecord[] = [];
    let fromKey: string | undefined = REGISTER_PREFIX;
    while (fromKey !== undefined) {
      const page = await this.#deps.storage.list(REGISTER_PREFIX, { limit: PAGE_SIZE, fromKey });
      for (const { object } of page.items) {
        const { spec } = object as IssuedCertificate;
        const { sequence, notAfter, removed } = spec;
        records.push({ sequence, notAfter, ...omitUndefined({ removed }) });
      }
      fromKey = page.nextKey;
      await setImmediate();
    }
    return records;
  }

  /** Writes the stub first, so that the register is complete at any moment. */
  async #removeRun({ first, last }: PrunableRun): Promise<void> {
    const { storage, authority, clock } = this.#deps;
    const [firstStored, lastStored] = [await this.#read(first), await this.#read(last)];
    if (firstStored === undefined || lastStored === undefined) return;
    const now = clock.now();
    const stub = createStub(readSpec(firstStored), readSpec(lastStored), now);
    const object: IssuedCertificate = {
      metadata: lastStored.object.metadata,
      spec: stub,
      status: { seal: await createSeal(stub, authority(), now) },
    };
    await storage.update(lastStored.key, object, lastStored.revision);
    this.#report(stub);
    const atOnce = storage.sharesRevisions ? 1 : DELETED_AT_ONCE;
    for (let next = last - 1; next >= first; next -= atOnce) {
      const sequences = Array.from({ length: Math.min(atOnce, next - first + 1) }, (_, index) => next - index);
      const stored = await Promise.all(sequences.map((sequence) => this.#read(sequence)));
      await Promise.all(
        stored.flatMap((record) => record === undefined ? [] : [storage.delete(record.key, record.revision)]),
      );
    }
  }

  #read(sequence: number): Promise<Stored | undefined> {
    return this.#deps.storage.get(`${REGISTER_PREFIX}${formatRecordName(sequence)}`);
  }

  /** Deletes the records of requests that another API server or an earlier build has deleted. */
  async #deleteOrphans(): Promise<void> {
    const { storage } = this.#deps;
    const records = await storage.list(toKeyPrefix(requestRecords, ""));
    // The requests are read after the records, so a request that is created meanwhile has no record in the list.
    const requests = await storage.list(toKeyPrefix(certificateSigningRequests, ""));
    const uids = new Set(requests.items.map(({ object }) => `${getName(object)}/${object.metadata.uid}`));
    for (const { key, object, revision } of records.items) {
      if (uids.has(`${getName(object)}/${(object as RequestRecord).spec.requestUID}`)) continue;
      try {
        await storage.delete(key, revision);
      } catch (error) {
        if (!isAppError(error, "conflict")) throw error;
      }
    }
  }
}

/** Every object below the register's prefix is an IssuedCertificate, because only the server writes there. */
function readSpec({ object }: Stored): IssuedCertificateSpec {
  return (object as IssuedCertificate).spec;
}

/** The pause before a new certificate is recorded here, so that the record of another server can arrive first. */
const UNRECORDED_PAUSE_MS = 1_000;
/** The pause after a failure of the storage. */
const UNRECORDED_RETRY_MS = 10_000;
/** How many certificates are parsed before other work may run. */
const PARSED_AT_ONCE = 100;

/** Records the existing unrecorded certificates, then those that arrive, until it is disposed. */
export async function followUnrecorded(
  deps: Pick<RequestCommitDeps, "storage" | "register" | "clientCas"> & {
    readonly clock: Clock;
    readonly logger: Logger;
  },
): Promise<Disposable> {
  const { storage, register, clock, logger } = deps;
  const waiting = new Map<string, CertificateSigningRequest>();
  const stop = new AbortController();
  let isDue = false;

  async function recordWaiting(): Promise<void> {
    let parsed = 0;
    const recording: Promise<unknown>[] = [];
    for (const [name, csr] of waiting) {
      const leaf = findLeafCertificate(csr.status.certificate ?? "");
      if (++parsed % PARSED_AT_ONCE === 0) await setImmediate();
      if (leaf === undefined || register.index.findSequence(leaf.sha256Fingerprint) !== undefined) {
        waiting.delete(name);
        continue;
      }
      const known = await storage.get(toStorageKey(requestRecords, "", name));
      const recorded = register.record(describeRequested(deps, csr, leaf, known), []);
      recording.push(recorded.then(() => {
        waiting.delete(name);
        logger.info("certificate without a record recorded", { request: name });
      }));
    }
    await Promise.all(recording);
  }

  function recordSoon(ms: number): void {
    if (isDue || stop.signal.aborted) return;
    isDue = true;
    clock.sleep(ms, stop.signal).then(() => {
      isDue = false;
      return recordWaiting();
    }).catch((error: unknown) => {
      if (stop.signal.aborted) return;
      logger.warn("cannot record certificates, trying again", { error });
      recordSoon(UNRECORDED_RETRY_MS);
    });
  }

  /** True when a change added a certificate without a record. */
  function isUnrecorded(certificate: string, { previous }: StorageEvent<CertificateSigningRequest>): boolean {
    if ((previous?.object.status.certificate ?? "") !== "") return false;
    // Certificates of other servers are parsed only if they have no record.
    if (register.index.findSequence(hashFirstBlock(certificate) ?? "") !== undefined) return false;
    const leaf = findLeafCertificate(certificate);
    return leaf !== undefined && register.index.findSequence(leaf.sha256Fingerprint) === undefined;
  }

  const watch = await followResource(storage, toKeyPrefix(certificateSigningRequests, ""), {
    clear() {},
    added(name, { object: csr }: Stored<CertificateSigningRequest>, change) {
      const { certificate = "" } = csr.status;
      if (certificate === "" || (change !== undefined && !isUnrecorded(certificate, change))) return;
      waiting.set(name, csr);
      recordSoon(UNRECORDED_PAUSE_MS);
    },
    removed() {},
  });
  return {
    [Symbol.dispose]() {
      stop.abort();
      watch.stop();
    },
  };
}
