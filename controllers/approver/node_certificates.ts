/** Keeps the client certificates of nodes as the requests and the register of issued certificates change. */
import type { Lookup, NodeCertificate } from "../../core/approval/evidence/ownership.ts";
import { type AppError, isAppError } from "../../core/errors.ts";
import { hasCertificate } from "../../core/request/phase.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { Clock, Logger, ObjectChange, ObjectChanges } from "../../core/ports.ts";
import {
  createNodeCertificateIndex,
  type NodeCertificateIndex,
} from "../../core/approval/evidence/node_certificate_index.ts";

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
