/**
 * The approver's indexes of API objects: the approved requests of each requester, the names that nodes report, and the
 * client certificates of nodes.
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
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { KUBELET_SERVING_SIGNER } from "../../core/kube/kinds/constants.ts";
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
  /** Yields the store's changes, and records each in the index. */
  changes(signal: AbortSignal): AsyncIterable<ObjectChange<CertificateSigningRequest>>;
  /** Records an object that was just written, before its change arrives. */
  put(csr: CertificateSigningRequest): void;
  /** Lists the approved requests of a requester, without the fields that no decision reads. */
  listApproved(username: string): Iterable<CertificateSigningRequest>;
}

/**
 * Creates an index over a store. It holds no pending requests, so its size does not depend on their number. It also
 * passes every request to `certificates`.
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

/** Keeps only the fields that decisions read, because a whole request takes several times as much memory. */
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
  /** Creates a store of all nodes, which reports each failed connection to `onFailure`. */
  nodes(onFailure: (error: AppError) => void): ObjectChanges<ReportingNode>;
  /** Whether a policy needs nodes. They are not listed before. */
  readonly isNeeded: () => boolean;
  readonly clock: Clock;
}

/** How often to check whether reloaded policies need nodes. */
const NEED_CHECK_INTERVAL_MS = 1_000;

/** Creates a watch of nodes, which runs while its changes are being iterated. */
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

/** An index of the client certificates of nodes. Lookups fail until the register has been read. */
export interface NodeCertificates extends Omit<NodeCertificateIndex, "find"> {
  /**
   * Lists the unrevoked certificates of a node and those whose node is unknown, except the certificate of one request.
   * Fails until the register has been read once, unless the API does not serve it.
   */
  list(node: string, exceptRequest: string): Promise<Lookup<readonly NodeCertificate[]>>;
  /** True until the register has been read once, unless the API does not serve it. */
  isStarting(): boolean;
  /** Watches the register and yields its changed records; absent when no register is watched. */
  readonly changes?: (signal: AbortSignal) => AsyncIterable<ObjectChange<IssuedCertificate>>;
}

/** The dependencies of an index of node certificates. */
export interface NodeCertificatesOptions {
  /**
   * Creates a store of the records of kubelet client certificates, which reports each failed connection to `onFailure`;
   * undefined when the API has no register.
   */
  readonly records:
    | ((onFailure: (error: AppError) => void) => ObjectChanges<IssuedCertificate>)
    | undefined;
  /**
   * Searches a register in the same process for the newest certificate of a node and one whose node is unknown, unless
   * they are revoked. With it, the index holds only requests that are approved but not yet signed.
   */
  readonly findRecorded?: (node: string) => Promise<readonly NodeCertificate[]>;
  readonly clock: Clock;
  readonly logger?: Logger;
}

/** How long to wait before reading an absent register again: the server may have been upgraded. */
const ABSENT_RETRY_MS = 600_000;

/** Creates an index that has no certificates yet. */
export function createNodeCertificates(
  { records, findRecorded, clock, logger }: NodeCertificatesOptions,
): NodeCertificates {
  // `findRecorded` finds the certificates of signed requests.
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
      // The API has no register, or does not let us read it. The watch ends, and starts again much later.
      if (code === "not_found" || code === "access_denied") throw error;
      reading = { kind: "failed", message: `the register of issued certificates cannot be read: ${message}` };
    });
    while (true) {
      try {
        for await (const change of store.changes(signal)) {
          // A record is deleted a year after its certificate expired, so a deletion changes nothing.
          if (change.kind === "deleted") continue;
          if (change.kind === "changed") index.putRecord(change.object);
          if (change.kind === "synced") reading = { kind: "found", value: true };
          yield change;
        }
      } catch (error) {
        signal.throwIfAborted();
        if (!isAppError(error, "not_found", "access_denied")) throw error;
        const level = error.code === "not_found" ? "debug" : "warn";
        logger?.[level]("the register cannot be read, so only certificates of watched requests count", {
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
