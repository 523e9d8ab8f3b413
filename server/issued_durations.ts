/** Counts issued certificates by whether their lifetime is the one that was asked for; a dry run is never stored. */
import { judgeDuration } from "../core/csr/honored_duration.ts";
import type { CertificateSigningRequest } from "../core/kube/certificates_v1.ts";
import type { Metrics } from "./http/metrics.ts";
import type { Storage, StorageEvent, StorageWatch } from "./storage/storage.ts";

const PREFIX = "/registry/certificatesigningrequests/";

/** Follows the store until it is disposed. */
export function countIssuedDurations(storage: Storage, metrics: Pick<Metrics, "observeDuration">): Disposable {
  const observe = (events: readonly StorageEvent[]) => {
    for (const { current, previous } of events) {
      if (current === undefined) continue;
      // What lies under this prefix passed the strategy of CSRs.
      const csr = current.object as CertificateSigningRequest;
      const before = previous?.object as CertificateSigningRequest | undefined;
      if (csr.status.certificate === undefined || before?.status.certificate !== undefined) continue;
      const verdict = judgeDuration(csr);
      if (verdict !== "unasked") metrics.observeDuration(csr.spec.signerName, verdict === "honored");
    }
  };
  let watch: StorageWatch;
  // What was lost is not counted; the count goes on.
  const begin = () => void (watch = storage.watch(PREFIX, storage.revision(), observe, begin));
  begin();
  return { [Symbol.dispose]: () => watch.stop() };
}
