/**
 * The client certificates of nodes, from two sources: the register of issued certificates where the API serves it, and
 * the requests that were seen, each until its certificate expires although the request is deleted within hours.
 */
import { readNodeCertificate, readRecordedNodeCertificate } from "../core/approval/evidence/node_claims.ts";
import type { Lookup, NodeCertificate } from "../core/approval/evidence/ownership.ts";
import { type AppError, isAppError } from "../core/errors.ts";
import { hasCertificate } from "../core/request/phase.ts";
import type { CertificateSigningRequest } from "../core/kube/kinds/certificates_v1.ts";
import { getName } from "../core/kube/meta.ts";
import type { IssuedCertificate } from "../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { Clock, Logger, ObjectChange, ObjectStore } from "../core/ports.ts";

/** An index of the client certificates of nodes. */
export interface NodeCertificates {
  /** Records a request that was seen or just written. */
  put(csr: CertificateSigningRequest): void;
  putRecord(record: IssuedCertificate): void;
  /** Records that a request is gone; its certificate stays valid. */
  remove(requestName: string): void;
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
    | ((onFailure: (error: AppError) => void) => Pick<ObjectStore<IssuedCertificate>, "changes">)
    | undefined;
  /**
   * Finds the newest certificate of a node in a register in the same process, and one whose node is unknown, unless they are
   * revoked. Then the register is not watched, and of the requests only those count that are approved and not signed yet.
   */
  readonly findRecorded?: (node: string) => Promise<readonly NodeCertificate[]>;
  readonly clock: Clock;
  readonly logger?: Logger;
}

interface Entry {
  readonly certificate: NodeCertificate;
  /** The name of the request, while it exists. */
  readonly request?: string;
  readonly isRevoked: boolean;
}

/** How long to wait before a server that has no register is asked again: it may have been upgraded. */
const ABSENT_RETRY_MS = 600_000;
/** The limit of nodes, as a bound of the memory: the oldest entries are dropped beyond it. */
const MAX_NODES = 100_000;

/** Creates an index without any certificate. */
export function createNodeCertificates(
  { records, findRecorded, clock, logger }: NodeCertificatesOptions,
): NodeCertificates {
  /** The certificates by node; undefined for those whose node is unknown. */
  const nodes = new Map<string | undefined, Map<string, Entry>>();
  const requests = new Map<string, { readonly node: string | undefined; readonly key: string }>();
  let reading: Lookup<true> = records === undefined
    ? { kind: "found", value: true }
    : { kind: "failed", message: "the register of issued certificates has not been read yet" };

  function set(key: string, entry: Entry): void {
    const { node } = entry.certificate;
    const now = clock.now();
    const own = nodes.get(node) ?? new Map<string, Entry>();
    for (const [other, { certificate }] of own) {
      if (certificate.notAfter !== undefined && certificate.notAfter <= now) own.delete(other);
    }
    nodes.delete(node);
    nodes.set(node, own.set(key, entry));
    const oldest = nodes.keys().find((known) => known !== undefined);
    if (nodes.size > MAX_NODES) nodes.delete(oldest);
  }

  function drop({ node, key }: { readonly node: string | undefined; readonly key: string }): void {
    const own = nodes.get(node);
    own?.delete(key);
    if (own?.size === 0) nodes.delete(node);
  }

  function put(csr: CertificateSigningRequest): void {
    const name = getName(csr);
    const before = requests.get(name);
    // The register has the certificates of this process.
    const isRecorded = findRecorded !== undefined && hasCertificate(csr);
    const certificate = isRecorded ? undefined : readNodeCertificate(csr);
    if (certificate === undefined) {
      if (before !== undefined) drop(before);
      requests.delete(name);
      return;
    }
    const key = certificate.fingerprint ?? `request ${name}`;
    if (before !== undefined && before.key !== key) drop(before);
    requests.set(name, { node: certificate.node, key });
    const isRevoked = nodes.get(certificate.node)?.get(key)?.isRevoked ?? false;
    set(key, { certificate, request: name, isRevoked });
  }

  function putRecord(object: IssuedCertificate): void {
    const certificate = readRecordedNodeCertificate(object);
    if (certificate === undefined) return;
    const key = certificate.fingerprint ?? `record ${getName(object)}`;
    const known = nodes.get(certificate.node)?.get(key);
    const isOver = certificate.notAfter !== undefined && certificate.notAfter <= clock.now();
    if (known === undefined && isOver) return;
    set(key, { ...known, certificate, isRevoked: object.status.revocation !== undefined });
  }

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
          // Records are removed a year after their end, so a deletion is no news.
          if (change.kind === "changed") putRecord(change.object);
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
    put,
    putRecord,
    remove(name) {
      const known = requests.get(name);
      requests.delete(name);
      if (known === undefined) return;
      const entry = nodes.get(known.node)?.get(known.key);
      // Only a certificate outlives its request; an approval without one does not.
      if (entry?.certificate.fingerprint === undefined) drop(known);
      else set(known.key, { certificate: entry.certificate, isRevoked: entry.isRevoked });
    },
    isStarting: () => reading.kind !== "found",
    async list(node, exceptRequest) {
      if (reading.kind !== "found") return reading;
      const recorded = await findRecorded?.(node) ?? [];
      const own = [node, undefined].flatMap((known) => [...nodes.get(known)?.values() ?? []])
        .filter(({ isRevoked, request }) => !isRevoked && request !== exceptRequest);
      return { kind: "found", value: [...recorded, ...own.map(({ certificate }) => certificate)] };
    },
    ...(records === undefined ? {} : { changes: (signal: AbortSignal) => changes(records, signal) }),
  };
}
