/**
 * Records the certificates of requests that came into the storage without a record: from an earlier build, or by a
 * kube-apiserver on the same etcd.
 */
import { setImmediate } from "node:timers/promises";
import { findLeafCertificate, hashFirstBlock } from "../../core/request/issued_certificate.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import { certificateSigningRequests } from "../registry/certificatesigningrequests.ts";
import { toKeyPrefix, toStorageKey } from "../registry/registry.ts";
import { requestRecords } from "../registry/requestrecords.ts";
import { followResource } from "../storage/follow.ts";
import type { StorageEvent, Stored } from "../storage/storage.ts";
import { describeRequested, type RequestCommitDeps } from "./request_commit.ts";

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
