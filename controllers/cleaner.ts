/** The cleaning controller: checks all CSRs once an hour by default (`pkg/controller/certificates/cleaner/cleaner.go`). */
import { type CleaningTimes, decideCleaning } from "../core/csr/cleaning.ts";
import { getErrorMessage, isAppError } from "../core/errors.ts";
import type { CertificateSigningRequest } from "../core/kube/certificates_v1.ts";
import { getName } from "../core/kube/meta.ts";
import type { Clock, CsrStore, Logger } from "../core/ports.ts";
import { backoffMs } from "./queue.ts";

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

const HOUR_MS = 3_600_000;

/**
 * Makes a pass at once and then one in each interval until the signal aborts; then resolves. Unlike upstream, the first
 * pass reads a complete list, and the uid protects a CSR that was deleted and created again meanwhile.
 */
export async function runCleaner(options: CleanerOptions, signal: AbortSignal): Promise<void> {
  const { clock, intervalMs = HOUR_MS } = options;
  try {
    for (let failures = 0;;) {
      const passed = await makePass(options, signal);
      // A failed list is retried soon, because the next regular pass is an hour away.
      const pause = passed ? intervalMs : Math.min(backoffMs(failures), intervalMs);
      failures = passed ? 0 : failures + 1;
      await clock.sleep(pause, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Makes one pass; false when the CSRs could not be listed. */
async function makePass({ store, clock, logger, times }: CleanerOptions, signal: AbortSignal): Promise<boolean> {
  let csrs: readonly CertificateSigningRequest[];
  try {
    csrs = await store.list(signal);
  } catch (error) {
    signal.throwIfAborted();
    logger.error("CSRs cannot be listed for cleaning", { error: getErrorMessage(error) });
    return false;
  }
  for (const csr of csrs) {
    const cleaning = decideCleaning(csr, clock.now(), times);
    if (cleaning.kind === "keep") continue;
    const { uid } = csr.metadata;
    try {
      await store.delete(getName(csr), signal, uid === undefined ? {} : { uid });
      logger.info("CSR cleaned", { csr: getName(csr), why: cleaning.why });
    } catch (error) {
      signal.throwIfAborted();
      if (isAppError(error, "not_found", "conflict")) continue;
      logger.error("CSR cannot be cleaned", { csr: getName(csr), error: getErrorMessage(error) });
    }
  }
  return true;
}
