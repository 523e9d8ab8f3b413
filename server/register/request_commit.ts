/**
 * The writes of CertificateSigningRequests and PodCertificateRequests. Each takes effect together with what the server
 * records about it: the certificate, and for the former the address of the requester and the user who decided. Certificates
 * of requests that came into the storage without a record, from an earlier build or by a kube-apiserver on the same etcd,
 * are recorded afterwards.
 */
import { setImmediate } from "node:timers/promises";
import { findLeafCertificate, hashFirstBlock } from "../../core/request/issued_certificate.ts";
import { formatTokenProof, readTokenProof } from "../../core/attestation/proof.ts";
import { findCondition } from "../../core/request/phase.ts";
import { findTokenId, toTokenSecretName } from "../../core/token/token_secret.ts";
import type { CertificateSigningRequest, PodCertificateRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { formatTime, getName } from "../../core/kube/meta.ts";
import type { RequestDecision, RequestRecord, RequestRecordSpec } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { type CertificateFacts, parseCertificate } from "../../core/pki/x509/certificate.ts";
import { findPemBlock } from "../../core/pki/asn1/pem.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import {
  type CertificateDescription,
  describeIssued,
  describePodOrigin,
  describeRequestOrigin,
} from "../../core/register/record.ts";
import { findCertificateFingerprint } from "../../core/revocation/revocation_index.ts";
import { createUid, toKeyPrefix, toStorageKey } from "../registry/registry.ts";
import { requestRecords } from "../registry/tlsboot_v1alpha1.ts";
import type { CommitContext } from "../registry/resource.ts";
import { certificateSigningRequests } from "../registry/certificates_v1.ts";
import { findKnownTokenSecret } from "../registry/secrets.ts";
import {
  AlreadyExistsError,
  RevisionConflictError,
  type Storage,
  type StorageEvent,
  type Stored,
  type Write,
} from "../storage/storage.ts";
import { followResource } from "../storage/follow.ts";
import { findIssuer, type Register } from "./register.ts";

export interface RequestCommitDeps {
  readonly storage: Storage;
  readonly register: Register;
  readonly random: Random;
  /** Returns the CAs whose client certificates are trusted; they and the recorded CAs may have issued a certificate. */
  readonly clientCas: () => readonly CertificateFacts[];
}

/** Longer User-Agent headers are cut, because a record is kept for more than a year. */
const MAX_USER_AGENT_LENGTH = 256;

/** Creates the function that makes the writes of requests (`Resource.commit`). */
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
      // The request is written last: where each write has its own revision, its version is then the newest of the store,
      // as clients know it from kube-apiserver.
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

/** Creates the function that makes the writes of requests for pods, whose certificates get records too. */
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
      ...(issuer === undefined ? {} : { issuerFingerprint: issuer.sha256Fingerprint }),
    });
    return (await register.record(description, writes)).at(-1)!;
  };
}

/** Parses the first certificate of a chain that the validation has accepted. */
function parseLeaf(chain: string): CertificateFacts | undefined {
  const found = findPemBlock(chain);
  const leaf = found === undefined ? undefined : parseCertificate(found.block.bytes);
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
      ...(address === undefined ? {} : { address }),
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
  const type = (["Approved", "Denied"] as const).find((one) =>
    findCondition(csr, one) !== undefined && findCondition(stored as CertificateSigningRequest, one) === undefined
  );
  if (type === undefined) return undefined;
  return {
    type,
    username: user.username,
    ...(user.groups.length === 0 ? {} : { groups: user.groups }),
    ...(address === undefined ? {} : { address }),
    time: formatTime(now),
  };
}

function describeRequested(
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
      ...(tokenID === undefined ? {} : { tokenID }),
      ...(certificateFingerprint === undefined ? {} : { certificateFingerprint }),
      record: own,
    }),
    ...(issuer === undefined ? {} : { issuerFingerprint: issuer.sha256Fingerprint }),
  });
}

/** The pause before a new certificate is recorded here, so that a record on its way arrives first. */
const PAUSE_MS = 1_000;
/** The pause after a failure of the storage. */
const RETRY_MS = 10_000;
/** How many certificates are parsed before other work may run. */
const PARSED_AT_ONCE = 100;

/** Records the unrecorded certificates that exist, and then those that arrive, until it is disposed. */
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
      recordSoon(RETRY_MS);
    });
  }

  /** Reports whether a change added a certificate without a record. */
  function isUnrecorded(certificate: string, { previous }: StorageEvent<CertificateSigningRequest>): boolean {
    if ((previous?.object.status.certificate ?? "") !== "") return false;
    // Of the certificates of other servers only those without a record are parsed.
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
      recordSoon(PAUSE_MS);
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
