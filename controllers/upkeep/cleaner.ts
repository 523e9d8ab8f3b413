/**
 * The cleaning controllers. One deletes old CSRs (`pkg/controller/certificates/cleaner/cleaner.go`), by default once an
 * hour; the other deletes old PodCertificateRequests (`pcrcleaner.go` there), every five minutes.
 */
import { type Cleaning, decideCleaning, decidePodRequestCleaning } from "../../core/request/cleaning.ts";
import type { CleaningTimes } from "../../core/request/phase.ts";
import { getErrorMessage, isAppError } from "../../core/errors.ts";
import type { PodCertificateRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import type { Clock, CsrStore, DeletionOptions, Logger, ObjectStore } from "../../core/ports.ts";
import { backoffMs } from "../engine/loop.ts";

/** The dependencies of the cleaning controller. */
export interface CleanerOptions {
  readonly store: CsrStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The pause between two passes; one hour by default, as upstream. */
  readonly intervalMs?: number;
  /** How long CSRs are kept; as long as upstream by default. */
  readonly times?: CleaningTimes;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/**
 * Makes a pass over the CSRs at once and after each interval, until the signal aborts; then resolves. Unlike upstream,
 * the first pass reads a complete list, and the uid protects a CSR that was deleted and created again meanwhile.
 */
export async function runCleaner(options: CleanerOptions, signal: AbortSignal): Promise<void> {
  const { store, clock, logger, intervalMs = HOUR_MS, times } = options;
  await cleanRepeatedly({
    kind: "CSR",
    field: "csr",
    list: store.list,
    delete: (csr, own, deletion) => store.delete(getName(csr), own, deletion),
    decide: (csr) => decideCleaning(csr, clock.now(), times),
    intervalMs,
    clock,
    logger,
  }, signal);
}

/** The dependencies of the controller that cleans PodCertificateRequests. */
export interface PodRequestCleanerOptions {
  readonly list: ObjectStore<PodCertificateRequest>["list"];
  readonly requestsIn: (namespace: string) => Pick<ObjectStore<PodCertificateRequest>, "delete">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Makes a pass over the PodCertificateRequests at once and then one every five minutes until the signal aborts. */
export async function runPodRequestCleaner(options: PodRequestCleanerOptions, signal: AbortSignal): Promise<void> {
  const { list, requestsIn, clock, logger } = options;
  await cleanRepeatedly({
    kind: "PodCertificateRequest",
    field: "request",
    list,
    delete(request, own, deletion) {
      return requestsIn(request.metadata.namespace ?? "").delete(getName(request), own, deletion);
    },
    decide: (request) => decidePodRequestCleaning(request, clock.now()),
    intervalMs: 5 * MINUTE_MS,
    clock,
    logger,
  }, signal);
}

/** How the objects of one kind are cleaned. */
interface Cleanup<T extends KubeObject> {
  readonly kind: string;
  /** The log field for the object's name. */
  readonly field: string;
  list(signal: AbortSignal): Promise<readonly T[]>;
  delete(object: T, signal: AbortSignal, options: DeletionOptions): Promise<void>;
  decide(object: T): Cleaning;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

async function cleanRepeatedly<T extends KubeObject>(cleanup: Cleanup<T>, signal: AbortSignal): Promise<void> {
  const { clock, intervalMs } = cleanup;
  try {
    for (let failures = 0;;) {
      const passed = await makePass(cleanup, signal);
      // A failed list is retried soon, because the next regular pass may be an hour away.
      const pause = passed ? intervalMs : Math.min(backoffMs(failures), intervalMs);
      failures = passed ? 0 : failures + 1;
      await clock.sleep(pause, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Makes one pass; false when the objects could not be listed. */
async function makePass<T extends KubeObject>(cleanup: Cleanup<T>, signal: AbortSignal): Promise<boolean> {
  const { kind, field, logger } = cleanup;
  let objects: readonly T[];
  try {
    objects = await cleanup.list(signal);
  } catch (error) {
    signal.throwIfAborted();
    logger.error(`${kind}s cannot be listed for cleaning`, { error: getErrorMessage(error) });
    return false;
  }
  for (const object of objects) {
    const cleaning = cleanup.decide(object);
    if (cleaning.kind === "keep") continue;
    const { uid, namespace } = object.metadata;
    const name = namespace === undefined ? getName(object) : `${namespace}/${getName(object)}`;
    try {
      await cleanup.delete(object, signal, uid === undefined ? {} : { uid });
      logger.info(`${kind} cleaned`, { [field]: name, why: cleaning.why });
    } catch (error) {
      signal.throwIfAborted();
      if (isAppError(error, "not_found", "conflict")) continue;
      logger.error(`${kind} cannot be cleaned`, { [field]: name, error: getErrorMessage(error) });
    }
  }
  return true;
}
