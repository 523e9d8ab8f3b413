/**
 * The register of issued certificates in a storage. Each new record is written in one transaction with the object
 * that makes its certificate public, so that no certificate lacks a record. This file also writes
 * CertificateSigningRequests and PodCertificateRequests, because each write and its record must take effect together.
 * For a CertificateSigningRequest, the server also records the address of the requester and the user who decided.
 */
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { AppError } from "../../core/errors.ts";
import { omitUndefined } from "../../core/lib/record.ts";
import { formatTime, getName } from "../../core/kube/meta.ts";
import type {
  IssuedCertificate,
  IssuedCertificateSpec,
  RequestDecision,
  RequestRecord,
  RequestRecordSpec,
} from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";
import { equalBytes } from "../../core/pki/asn1/der.ts";
import type { Clock, Random } from "../../core/ports.ts";
import {
  type CertificateDescription,
  createRecord,
  createRecordStatus,
  describeIssued,
  describePodOrigin,
  describeRequestOrigin,
  formatRecordName,
  hashRecord,
} from "../../core/register/record.ts";
import { readIdentity } from "../../core/register/certificate_user.ts";
import { issuedCertificates, requestRecords } from "../registry/tlsboot_v1alpha1.ts";
import { createUid, toKeyPrefix, toStorageKey } from "../registry/registry.ts";
import { followResource } from "../storage/follow.ts";
import {
  AlreadyExistsError,
  RevisionConflictError,
  type Storage,
  type StorageEvent,
  type StorageWatch,
  type Stored,
  type Write,
  WriteRefusedError,
} from "../storage/storage.ts";
import { RegisterIndex } from "./index.ts";
import { findLeafCertificate } from "../../core/request/issued_certificate.ts";
import { formatTokenProof, readTokenProof } from "../../core/attestation/proof.ts";
import { findCondition } from "../../core/request/phase.ts";
import { findTokenId, toTokenSecretName } from "../../core/token/token_secret.ts";
import type { CertificateSigningRequest, PodCertificateRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { findPemBlock } from "../../core/pki/asn1/pem.ts";
import { findCertificateFingerprint } from "../../core/revocation/revocation_index.ts";
import type { CommitContext } from "../registry/resource.ts";
import { findKnownTokenSecret } from "../registry/secrets.ts";

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
  /** When the certificate was issued; now if undefined. */
  readonly issuedAt: Date | undefined;
  resolve(events: readonly StorageEvent[]): void;
  reject(error: unknown): void;
}

/** The largest number of jobs in a transaction, for a storage whose transactions may have several records. */
const MAX_BATCH = 64;
/**
 * How many times to try to append after the records of other servers, and the pause while those have not arrived.
 */
const MAX_ATTEMPTS = 50;
const RETRY_MS = 100;

/**
 * The register. Records are appended one transaction after another, because each record contains the hash of the
 * previous one.
 */
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
   * Records a certificate and makes writes in the same transaction; returns the changes of the writes. A certificate
   * that is already recorded gets no second record. `issuedAt` defaults to the current time. Rejects like
   * `Storage.transact` of the writes.
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

  /** The CAs that this process has recorded, which issue the certificates of this installation. */
  get authorities(): readonly CertificateFacts[] {
    return [...this.#authorities.values()];
  }

  /** Records a certificate that came without a request, unless it is recorded already. */
  async ensureRecorded(certificate: CertificateFacts, source: "ca" | "kubeconfig" | "serving" | "sign"): Promise<void> {
    if (source === "ca") this.#authorities.set(certificate.sha256Fingerprint, certificate);
    if (this.index.findSequence(certificate.sha256Fingerprint) !== undefined) return;
    const issuer = findIssuer(certificate, this.authorities);
    const origin = { source, ...omitUndefined({ issuerFingerprint: issuer?.sha256Fingerprint }) };
    await this.record(describeIssued(certificate, origin), []);
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    // Jobs that are added in the same turn of the event loop share a transaction.
    await setImmediate();
    try {
      while (this.#waiting.length > 0) {
        const jobs = this.#takeBatch();
        // An unexpected error must not stop the jobs that follow.
        await this.#commit(jobs).catch((error: unknown) => jobs.forEach((job) => job.reject(error)));
      }
    } catch (error) {
      for (const job of this.#waiting.splice(0)) job.reject(error);
    } finally {
      this.#isRunning = false;
    }
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

  /** Commits jobs in one transaction. Jobs whose own writes conflict are rejected, and the rest are tried again. */
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
        ...omitUndefined({ previousHash, replaces }),
        issuedAt,
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

  /** True when a certificate is recorded, or will be by an earlier job of the same transaction. */
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

export interface RequestCommitDeps {
  readonly storage: Storage;
  readonly register: Register;
  readonly random: Random;
  /** Returns the CAs whose client certificates are trusted. Certificates may be from them or from the recorded CAs. */
  readonly clientCas: () => readonly CertificateFacts[];
}

/** Longer User-Agent headers are truncated, because a record is kept for more than a year. */
const MAX_USER_AGENT_LENGTH = 256;

/** Creates the function that commits the writes of CertificateSigningRequests (`Resource.commit`). */
export function createRequestCommit(deps: RequestCommitDeps): (write: Write, context: CommitContext) => Promise<
  StorageEvent
> {
  const { storage, register } = deps;
  return async (write, context) => {
    const csr = write.kind === "delete" ? undefined : write.object as CertificateSigningRequest;
    const before = context.stored as CertificateSigningRequest | undefined;
    const name = write.key.slice(write.key.lastIndexOf("/") + 1);
    const recordKey = toStorageKey(requestRecords, "", name);
    const certificate = csr?.status.certificate ?? "";
    const isIssued = certificate !== "" && certificate !== (before?.status.certificate ?? "");
    // A new request has no record, unless another API server has deleted an earlier request of its name.
    let known = write.kind === "create" ? undefined : storage.getKnown(recordKey);
    while (true) {
      // The request is written last. If each write has its own revision, the request's is then the newest of the store,
      // as clients expect from kube-apiserver.
      const writes = [...planRecordWrite(deps, recordKey, known, csr, context), ...context.others, write];
      try {
        const leaf = isIssued ? findLeafCertificate(certificate) : undefined;
        const changes = csr === undefined || leaf === undefined
          ? await storage.transact(writes)
          : await register.record(describeRequested(deps, csr, leaf, known), writes);
        return changes.at(-1)!;
      } catch (error) {
        const isConflict = error instanceof AlreadyExistsError || error instanceof RevisionConflictError;
        if (!isConflict || error.key !== recordKey) throw error;
        known = await storage.get(recordKey);
      }
    }
  };
}

/** Creates the function that commits the writes of PodCertificateRequests, whose certificates are recorded too. */
export function createPodRequestCommit(
  { storage, register, clientCas }: Omit<RequestCommitDeps, "random">,
): (write: Write, context: CommitContext) => Promise<StorageEvent> {
  return async (write, { stored, others }) => {
    const writes = [...others, write];
    const request = write.kind === "delete" ? undefined : write.object as PodCertificateRequest;
    const before = stored as PodCertificateRequest | undefined;
    const chain = request?.status.certificateChain ?? "";
    const leaf = chain === "" || chain === before?.status.certificateChain ? undefined : parseLeaf(chain);
    if (request === undefined || leaf === undefined) return (await storage.transact(writes)).at(-1)!;
    const issuer = findIssuer(leaf, [...register.authorities, ...clientCas()]);
    const description = describeIssued(leaf, {
      ...describePodOrigin(request),
      ...omitUndefined({ issuerFingerprint: issuer?.sha256Fingerprint }),
    });
    return (await register.record(description, writes)).at(-1)!;
  };
}

/** Parses the first certificate of a chain that validation has accepted. */
function parseLeaf(chain: string): CertificateFacts | undefined {
  const first = findPemBlock(chain);
  const leaf = first === undefined ? undefined : parseCertificate(first.block.bytes);
  return leaf?.ok === true ? leaf.value : undefined;
}

function planRecordWrite(
  { random, storage }: RequestCommitDeps,
  key: string,
  known: Stored | undefined,
  csr: CertificateSigningRequest | undefined,
  context: CommitContext,
): readonly Write[] {
  if (csr === undefined) {
    return known === undefined ? [] : [{ kind: "delete", key, expectedRevision: known.revision }];
  }
  const { stored, address, userAgent, now } = context;
  const requestUID = csr.metadata.uid ?? "";
  const current = known?.object as RequestRecord | undefined;
  const own = current?.spec.requestUID === requestUID ? current : undefined;
  let spec: RequestRecordSpec = own?.spec ?? { requestUID };
  if (stored === undefined) {
    const agent = userAgent.slice(0, MAX_USER_AGENT_LENGTH);
    spec = {
      requestUID,
      ...omitUndefined({ address }),
      ...(agent === "" ? {} : { userAgent: agent }),
      ...findProof(storage, csr.spec.username),
    };
  }
  const decision = findDecision(csr, context);
  if (stored !== undefined && decision === undefined) return [];
  const object: RequestRecord = {
    metadata: current?.metadata ?? {
      name: getName(csr),
      uid: createUid(random),
      creationTimestamp: formatTime(now),
    },
    spec,
    status: decision === undefined ? {} : { decision },
  };
  return known === undefined
    ? [{ kind: "create", key, object }]
    : [{ kind: "update", key, object, expectedRevision: known.revision }];
}

/** Finds the proof for which a requester got its bootstrap token. The token was read when it authenticated this request. */
function findProof(storage: Pick<Storage, "getKnown">, username = ""): Pick<RequestRecordSpec, "attested"> {
  const tokenId = findTokenId(username);
  const secret = tokenId === undefined ? undefined : findKnownTokenSecret(storage, toTokenSecretName(tokenId))?.object;
  const proof = secret && readTokenProof(secret);
  return proof === undefined ? {} : { attested: formatTokenProof(proof) };
}

/** Returns the decision that a write of `/approval` adds; undefined for any other write. */
function findDecision(
  csr: CertificateSigningRequest,
  { stored, subresource, user, address, now }: CommitContext,
): RequestDecision | undefined {
  if (subresource !== "approval") return undefined;
  const type = (["Approved", "Denied"] as const).find((condition) =>
    findCondition(csr, condition) !== undefined &&
    findCondition(stored as CertificateSigningRequest, condition) === undefined
  );
  if (type === undefined) return undefined;
  return {
    type,
    username: user.username,
    ...(user.groups.length === 0 ? {} : { groups: user.groups }),
    ...omitUndefined({ address }),
    time: formatTime(now),
  };
}

export function describeRequested(
  { register, clientCas }: Pick<RequestCommitDeps, "register" | "clientCas">,
  csr: CertificateSigningRequest,
  leaf: CertificateFacts,
  known: Stored | undefined,
): CertificateDescription {
  const record = known?.object as RequestRecord | undefined;
  const own = record?.spec.requestUID === csr.metadata.uid ? record : undefined;
  const issuer = findIssuer(leaf, [...register.authorities, ...clientCas()]);
  const certificateFingerprint = findCertificateFingerprint(csr.spec.extra ?? {});
  const tokenID = findTokenId(csr.spec.username ?? "") ??
    (certificateFingerprint === undefined ? undefined : register.index.findTokenId(certificateFingerprint));
  return describeIssued(leaf, {
    ...describeRequestOrigin(csr, {
      ...omitUndefined({ tokenID, certificateFingerprint }),
      record: own,
    }),
    ...omitUndefined({ issuerFingerprint: issuer?.sha256Fingerprint }),
  });
}
