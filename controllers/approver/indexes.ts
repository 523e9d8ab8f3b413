/**
 * What the approver keeps of the API: the approved requests of each requester, the names that nodes report, and the client
 * certificates of nodes.
 */
import type { NodeNames } from "../../core/approval/evidence/inventory.ts";
import {
  listReportedNames,
  type Lookup,
  type NodeCertificate,
  type ReportingNode,
} from "../../core/approval/evidence/ownership.ts";
import { hasCertificate, isApproved } from "../../core/request/phase.ts";
import { type AppError, getErrorMessage, isAppError } from "../../core/errors.ts";
import { type CertificateSigningRequest, KUBELET_SERVING_SIGNER } from "../../core/kube/kinds/certificates_v1.ts";
import { getName } from "../../core/kube/meta.ts";
import { isSameSet, omitUndefined } from "../../core/lib/record.ts";
import type { Clock, Logger, ObjectChange, ObjectChanges } from "../../core/ports.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import {
  createNodeCertificateIndex,
  type NodeCertificateIndex,
} from "../../core/approval/evidence/node_certificate_index.ts";

/** An index of the approved requests of each requester. */
export interface CsrIndex {
  /** Passes on the store's changes and records each in the index. */
  changes(signal: AbortSignal): AsyncIterable<ObjectChange<CertificateSigningRequest>>;
  /** Records an object that was just written, before its change arrives. */
  put(csr: CertificateSigningRequest): void;
  /** Lists the approved requests of a requester, without the fields that no decision reads. */
  listApproved(username: string): Iterable<CertificateSigningRequest>;
}

/**
 * Creates an index over a store. It holds no pending requests, so its size does not depend on their number. Every request
 * is also passed to the certificates of nodes.
 */
export function createCsrIndex(
  store: ObjectChanges<CertificateSigningRequest>,
  certificates?: Pick<NodeCertificates, "put" | "remove">,
): CsrIndex {
  const approved = new Map<string, Map<string, CertificateSigningRequest>>();
  const requesters = new Map<string, string>();

  function put(csr: CertificateSigningRequest): void {
    const name = getName(csr);
    forget(name);
    certificates?.put(csr);
    if (!isApproved(csr)) return;
    const { username = "" } = csr.spec;
    const own = approved.get(username) ?? new Map<string, CertificateSigningRequest>();
    own.set(name, toEvidence(csr));
    approved.set(username, own);
    requesters.set(name, username);
  }

  function remove(name: string): void {
    certificates?.remove(name);
    forget(name);
  }

  function forget(name: string): void {
    const username = requesters.get(name);
    if (username === undefined) return;
    requesters.delete(name);
    const own = approved.get(username);
    own?.delete(name);
    if (own?.size === 0) approved.delete(username);
  }

  return {
    put,
    listApproved: (username) => approved.get(username)?.values() ?? [],
    async *changes(signal) {
      // A watch that starts again reports the existing objects, but not those deleted in between.
      const missing = new Set(requesters.keys());
      for await (const change of store.changes(signal)) {
        if (change.kind === "synced") {
          missing.forEach(remove);
          missing.clear();
        } else {
          missing.delete(getName(change.object));
          if (change.kind === "deleted") remove(getName(change.object));
          else put(change.object);
        }
        yield change;
      }
    },
  };
}

/** Returns what decisions read of an approved request, because a whole one takes several times as much memory. */
function toEvidence(
  { metadata: { name, creationTimestamp }, spec: { signerName, username }, status }: CertificateSigningRequest,
): CertificateSigningRequest {
  const certificate = signerName === KUBELET_SERVING_SIGNER ? status.certificate : undefined;
  return {
    metadata: omitUndefined({ name, creationTimestamp }),
    spec: { request: null, signerName, ...omitUndefined({ username }) },
    status: omitUndefined({ conditions: status.conditions, certificate }),
  };
}

/** The reported names of all nodes, and their changes. */
export interface NodeWatch {
  /** Returns the names by node; `failed` until every node has been listed once. */
  reported(): Lookup<ReadonlyMap<string, NodeNames>>;
  /** True while nodes are needed, and their first list is in progress and has not failed. */
  isStarting(): boolean;
  /** Yields when names or addresses of a node have changed, but not for heartbeats. */
  changes(signal: AbortSignal): AsyncIterable<ObjectChange<ReportingNode>>;
}

/** The dependencies of a node watch. */
export interface NodeWatchOptions {
  /** Returns all nodes, over a store that reports each failed connection. */
  nodes(onFailure: (error: AppError) => void): ObjectChanges<ReportingNode>;
  /** Whether a policy needs nodes; no request is sent to the API before. */
  readonly isNeeded: () => boolean;
  readonly clock: Clock;
}

/** The interval at which to check whether reloaded policies need nodes. */
const NEED_CHECK_INTERVAL_MS = 1_000;

/** Creates a watch, which runs while its changes are being iterated. */
export function createNodeWatch({ nodes, isNeeded, clock }: NodeWatchOptions): NodeWatch {
  const known = new Map<string, NodeNames>();
  let isSynced = false;
  let failure: string | undefined;

  const store = nodes(fail);

  function fail(error: unknown): void {
    failure = `the nodes cannot be listed: ${getErrorMessage(error)}`;
  }

  /** Applies a change; returns whether names or addresses changed. */
  function apply(change: Exclude<ObjectChange<ReportingNode>, { kind: "synced" }>): boolean {
    const name = getName(change.object);
    if (change.kind === "deleted") return known.delete(name);
    const names = listReportedNames(change.object);
    const before = known.get(name);
    known.set(name, names);
    return before === undefined || !isSame(before, names);
  }

  async function* changes(signal: AbortSignal): AsyncIterable<ObjectChange<ReportingNode>> {
    while (!isNeeded()) await clock.sleep(NEED_CHECK_INTERVAL_MS, signal);
    const missing = new Set(known.keys());
    try {
      for await (const change of store.changes(signal)) {
        if (change.kind !== "synced") {
          missing.delete(getName(change.object));
          if (apply(change)) yield change;
          continue;
        }
        for (const name of missing) known.delete(name);
        missing.clear();
        isSynced = true;
        yield change;
      }
    } catch (error) {
      fail(error);
      throw error;
    }
  }

  return {
    reported: () =>
      isSynced
        ? { kind: "found", value: known }
        : { kind: "failed", message: failure ?? "the nodes have not been listed yet" },
    isStarting: () => isNeeded() && !isSynced && failure === undefined,
    changes,
  };
}

function isSame(a: NodeNames, b: NodeNames): boolean {
  return isSameSet(a.dns, b.dns) && isSameSet(a.ips, b.ips);
}

/** An index of the client certificates of nodes, which can fail until the register has been read. */
export interface NodeCertificates extends Omit<NodeCertificateIndex, "find"> {
  /**
   * Lists the certificates of a node that are not revoked, except that of one request, and those whose node is unknown.
   * Fails until the register has been read once, unless the API does not serve it.
   */
  list(node: string, exceptRequest: string): Promise<Lookup<readonly NodeCertificate[]>>;
  /** True until the register has been read once, unless the API does not serve it. */
  isStarting(): boolean;
  /** Yields changed records of the register, and runs while it is iterated; absent when no register is watched. */
  readonly changes?: (signal: AbortSignal) => AsyncIterable<ObjectChange<IssuedCertificate>>;
}

/** The dependencies of the index. */
export interface NodeCertificatesOptions {
  /**
   * Returns the records of the signer of kubelet client certificates, over a store that reports each failed connection;
   * undefined when the API has no register.
   */
  readonly records:
    | ((onFailure: (error: AppError) => void) => ObjectChanges<IssuedCertificate>)
    | undefined;
  /**
   * Finds the newest certificate of a node in a register in the same process, and one whose node is unknown, unless they are
   * revoked. Then the register is not watched, and of the requests only those count that are approved and not signed yet.
   */
  readonly findRecorded?: (node: string) => Promise<readonly NodeCertificate[]>;
  readonly clock: Clock;
  readonly logger?: Logger;
}

/** How long to wait before a server that has no register is asked again: it may have been upgraded. */
const ABSENT_RETRY_MS = 600_000;

/** Creates an index without any certificate. */
export function createNodeCertificates(
  { records, findRecorded, clock, logger }: NodeCertificatesOptions,
): NodeCertificates {
  // The register has the certificates of this process.
  const index = createNodeCertificateIndex(clock, (csr) => findRecorded !== undefined && hasCertificate(csr));
  let reading: Lookup<true> = records === undefined
    ? { kind: "found", value: true }
    : { kind: "failed", message: "the register of issued certificates has not been read yet" };

  async function* changes(
    records: NonNullable<NodeCertificatesOptions["records"]>,
    signal: AbortSignal,
  ): AsyncIterable<ObjectChange<IssuedCertificate>> {
    const store = records((error) => {
      const { code, message } = error;
      // The API has no register, or only for others: the watch ends, and is tried again much later.
      if (code === "not_found" || code === "access_denied") throw error;
      reading = { kind: "failed", message: `the register of issued certificates cannot be read: ${message}` };
    });
    while (true) {
      try {
        for await (const change of store.changes(signal)) {
          // Records are removed a year after their end, so a deletion changes nothing.
          if (change.kind === "deleted") continue;
          if (change.kind === "changed") index.putRecord(change.object);
          if (change.kind === "synced") reading = { kind: "found", value: true };
          yield change;
        }
      } catch (error) {
        signal.throwIfAborted();
        if (!isAppError(error, "not_found", "access_denied")) throw error;
        const level = error.code === "not_found" ? "debug" : "warn";
        logger?.[level]("the register cannot be read, so only certificates count whose requests were seen", {
          error: error.message,
        });
        reading = { kind: "found", value: true };
        yield { kind: "synced" };
      }
      await clock.sleep(ABSENT_RETRY_MS, signal);
    }
  }

  return {
    ...index,
    isStarting: () => reading.kind !== "found",
    async list(node, exceptRequest) {
      if (reading.kind !== "found") return reading;
      const recorded = await findRecorded?.(node) ?? [];
      return { kind: "found", value: [...recorded, ...index.find(node, exceptRequest)] };
    },
    ...(records === undefined ? {} : { changes: (signal: AbortSignal) => changes(records, signal) }),
  };
}
