/**
 * Leader election by Lease, as client-go does it (`tools/leaderelection`): one of several replicas is active, and
 * another takes over when it stops renewing the Lease. The default durations of 15, 10 and 2 seconds are
 * kube-controller-manager's. This file also detects a kube-controller-manager on the same API by its Lease.
 */
import { getErrorMessage, isAppError } from "../../core/errors.ts";
import type { Lease, LeaseSpec } from "../../core/kube/kinds/nodes.ts";
import { formatMicroTime } from "../../core/kube/meta.ts";
import { createChildAbort } from "../../core/lib/waiting.ts";
import type { Clock, LeaseStore, Logger, Random } from "../../core/ports.ts";
import { sleepOrAbort } from "./loop.ts";

/** The options of an election; times default to kube-controller-manager's. */
export interface LeaderElectionOptions {
  /** The store of the Leases in `namespace`. */
  readonly store: LeaseStore;
  readonly namespace: string;
  readonly leaseName: string;
  /** A name that is unique among the replicas. */
  readonly identity: string;
  /** How long a leader may go without a renewal before it is replaced. */
  readonly leaseDurationMs?: number;
  /** How long a leader may fail to renew before it stops. */
  readonly renewDeadlineMs?: number;
  /** The pause between two attempts. */
  readonly retryPeriodMs?: number;
  /** Records whether this process leads. */
  readonly metrics?: { setLeading(leaseName: string, isLeading: boolean): void };
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const LEASE_DURATION_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_PERIOD_MS = 2_000;
/** How long until the same failure is reported again. */
const REPORT_AGAIN_MS = 60_000;
/** Spreads the attempts of candidates, so that they are not made at the same time. */
const JITTER_FACTOR = 1.2;

/**
 * Runs `run` while this process leads. When the lease is lost, it aborts the signal of `run`, waits for `run` to end,
 * and tries to acquire the lease again. When `signal` aborts or `run` ends by itself, it releases the lease and
 * returns; it rethrows an error of `run`.
 */
export async function runWhileLeading(
  options: LeaderElectionOptions,
  run: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const elector = new Elector(options);
  const logger = options.logger.with({ lease: options.leaseName, identity: options.identity });
  options.metrics?.setLeading(options.leaseName, false);
  while (!signal.aborted) {
    logger.info("waiting for the leader lease");
    if (!(await elector.acquire(signal))) return;
    logger.info("leading");
    options.metrics?.setLeading(options.leaseName, true);
    using term = createChildAbort(signal);
    const work = run(term.signal).then(
      () => ({ ended: true }),
      (error: unknown) => {
        // An aborted run rejects with the abort itself.
        if (term.signal.aborted) return { ended: false };
        throw error;
      },
    );
    const kept = elector.keep(term.signal).then(() => ({ ended: false }));
    try {
      const first = await Promise.race([work, kept]);
      if (first.ended) return;
    } finally {
      term.abort();
      await Promise.allSettled([work, kept]);
      options.metrics?.setLeading(options.leaseName, false);
      await elector.release();
      logger.info("no longer leading");
    }
  }
}

/** Claims, renews and releases one Lease for this process. */
class Elector {
  readonly #options: Required<Omit<LeaderElectionOptions, "metrics">>;
  /** The lease as it was read or written last. */
  #observed: ObservedLease | undefined;
  #reported: { readonly failure: string; readonly atMs: number } | undefined;

  constructor(options: LeaderElectionOptions) {
    this.#options = {
      leaseDurationMs: LEASE_DURATION_MS,
      renewDeadlineMs: RENEW_DEADLINE_MS,
      retryPeriodMs: RETRY_PERIOD_MS,
      ...options,
    };
  }

  /** Waits until the lease is ours; false when the signal aborts first. */
  async acquire(signal: AbortSignal): Promise<boolean> {
    const { retryPeriodMs, random } = this.#options;
    while (!signal.aborted) {
      if (await this.#tryClaim(signal)) return true;
      await sleepOrAbort(this.#options.clock, retryPeriodMs * (1 + JITTER_FACTOR * random.float()), signal);
    }
    return false;
  }

  /** Renews the lease until that fails for too long, or until the signal aborts. */
  async keep(signal: AbortSignal): Promise<void> {
    const { retryPeriodMs, leaseName, logger } = this.#options;
    while (!signal.aborted) {
      if (!(await this.#withDeadline(signal, (limited) => this.#renew(limited)))) {
        if (!signal.aborted) logger.warn("leader lease cannot be renewed", { lease: leaseName });
        return;
      }
      await sleepOrAbort(this.#options.clock, retryPeriodMs, signal);
    }
  }

  /** Releases the lease with its own deadline, because the caller's signal has usually aborted by now. */
  async release(): Promise<void> {
    const { leaseName, logger } = this.#options;
    const isReleased = await this.#withDeadline(new AbortController().signal, (signal) => this.#tryRelease(signal));
    if (isReleased) logger.debug("leader lease released", { lease: leaseName });
  }

  async #renew(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (await this.#tryClaim(signal)) return true;
      await sleepOrAbort(this.#options.clock, this.#options.retryPeriodMs, signal);
    }
    return false;
  }

  /** Makes one attempt. Every failure counts as "not leading", and the next attempt reads the Lease again. */
  async #tryClaim(signal: AbortSignal): Promise<boolean> {
    try {
      const isClaimed = await this.#claim(signal);
      this.#reported = undefined;
      return isClaimed;
    } catch (error) {
      if (!signal.aborted) this.#reportFailure(getErrorMessage(error));
      return false;
    }
  }

  /** Reports a failure, and the same one again each minute, so that a controller that can never lead is noticed. */
  #reportFailure(failure: string): void {
    const { leaseName, clock, logger } = this.#options;
    const atMs = clock.elapsedMs();
    if (this.#reported?.failure === failure && atMs - this.#reported.atMs < REPORT_AGAIN_MS) return;
    logger.warn("leader lease cannot be claimed", { lease: leaseName, error: failure });
    this.#reported = { failure, atMs };
  }

  async #claim(signal: AbortSignal): Promise<boolean> {
    const { store, leaseName: name, namespace, clock } = this.#options;
    const now = clock.now();
    const elapsedMs = clock.elapsedMs();
    const known = this.#observed;
    if (known !== undefined && this.#isMine(known.lease) && isHeldAt(known, elapsedMs)) {
      // The leader renews without reading first, as client-go does, because no other replica may hold the Lease now.
      const written = await this.#write(known.lease, claimLease(known.lease.spec, this.#options, now), signal)
        .catch(() => undefined);
      if (written !== undefined) return true;
      signal.throwIfAborted();
    }
    const lease = await store.get(name, signal);
    if (lease === undefined) {
      const metadata = { name, namespace };
      const spec = claimLease(undefined, this.#options, now);
      const created = { kind: "Lease", apiVersion: "coordination.k8s.io/v1", metadata, spec };
      this.#observed = { lease: await store.create(created, signal), at: elapsedMs };
      return true;
    }
    const observed = observeLease(this.#observed, lease, elapsedMs);
    this.#observed = observed;
    if (!this.#isMine(lease) && isHeldAt(observed, elapsedMs)) return false;
    await this.#write(lease, claimLease(lease.spec, this.#options, now), signal);
    return true;
  }

  async #write(lease: Lease, spec: LeaseSpec, signal: AbortSignal): Promise<Lease> {
    const { store, clock } = this.#options;
    const written = await store.update({ ...lease, spec }, signal);
    this.#observed = { lease: written, at: clock.elapsedMs() };
    return written;
  }

  async #tryRelease(signal: AbortSignal): Promise<boolean> {
    const { store, leaseName, clock, logger } = this.#options;
    while (!signal.aborted) {
      try {
        const lease = await store.get(leaseName, signal);
        if (lease === undefined || !this.#isMine(lease)) return true;
        await this.#write(lease, releaseLease(lease.spec, clock.now()), signal);
        return true;
      } catch (error) {
        if (isAppError(error, "conflict")) continue;
        logger.warn("leader lease cannot be released", { lease: leaseName, error: getErrorMessage(error) });
        return false;
      }
    }
    return false;
  }

  async #withDeadline(parent: AbortSignal, act: (signal: AbortSignal) => Promise<boolean>): Promise<boolean> {
    const { clock, renewDeadlineMs } = this.#options;
    using limit = createChildAbort(parent);
    using timer = createChildAbort(limit.signal);
    const alarm = clock.sleep(renewDeadlineMs, timer.signal).then(() => limit.abort(), () => undefined);
    try {
      return await act(limit.signal);
    } finally {
      timer.abort();
      await alarm;
    }
  }

  #isMine(lease: Lease): boolean {
    return lease.spec.holderIdentity === this.#options.identity;
  }
}

/** A lease and the time of its last observed change. Only our own clock is used, because the holder's may be wrong. */
interface ObservedLease {
  readonly lease: Lease;
  /** When the change was observed, in elapsed milliseconds, so that setting the clock does not end or prolong a term. */
  readonly at: number;
}

/** A replica that wants the lease, and how long it would hold it. */
export interface Candidate {
  readonly identity: string;
  readonly leaseDurationMs: number;
}

/** True when the lease has a holder that has renewed it within its duration. */
export function isHeldAt(observed: ObservedLease, elapsedMs: number): boolean {
  const { holderIdentity = "", leaseDurationSeconds = 0 } = observed.lease.spec;
  return holderIdentity !== "" && observed.at + leaseDurationSeconds * 1000 > elapsedMs;
}

/** Updates the observation of a lease; the time starts again when the record has changed. */
export function observeLease(known: ObservedLease | undefined, lease: Lease, elapsedMs: number): ObservedLease {
  const changed = known === undefined || JSON.stringify(known.lease.spec) !== JSON.stringify(lease.spec);
  // The resourceVersion may be newer although the record is the same.
  return { lease, at: changed ? elapsedMs : known.at };
}

/** Creates the record of a candidate that takes or keeps the lease. `spec` is the current record, if any. */
export function claimLease(spec: LeaseSpec | undefined, candidate: Candidate, now: Date): LeaseSpec {
  const mine = spec?.holderIdentity === candidate.identity;
  const time = formatMicroTime(now);
  const transitions = spec?.leaseTransitions ?? 0;
  return {
    ...spec,
    holderIdentity: candidate.identity,
    leaseDurationSeconds: Math.floor(candidate.leaseDurationMs / 1000),
    acquireTime: mine ? spec.acquireTime ?? time : time,
    renewTime: time,
    leaseTransitions: spec === undefined || mine ? transitions : transitions + 1,
  };
}

/** Creates the record of a released lease, which any candidate may take at once. */
export function releaseLease(spec: LeaseSpec, now: Date): LeaseSpec {
  const { holderIdentity: _gone, ...rest } = spec;
  const time = formatMicroTime(now);
  return { ...rest, leaseDurationSeconds: 1, acquireTime: time, renewTime: time };
}

/** The Lease of kube-controller-manager (`--leader-elect-resource-name`). */
const CONTROLLER_MANAGER_LEASE = "kube-controller-manager";

/**
 * How long a paused controller waits before it checks the Lease again: without a renewal, the Lease expires after 15 s.
 */
export const CONTROLLER_MANAGER_WAIT_MS = 15_000;

/** Detects a kube-controller-manager. Controllers that know fewer kinds, or would contradict it, pause while it is active. */
export interface ControllerManager {
  /**
   * True while a kube-controller-manager holds and renews the Lease. An instance that runs with `--leader-elect=false`
   * is not detected.
   */
  isActive(signal: AbortSignal): Promise<boolean>;
}

/**
 * Watches the Lease of kube-controller-manager in `kube-system`. Its times are compared with our own clock only, as
 * client-go does: a Lease that has just been seen for the first time counts as held for its whole duration.
 */
export function createControllerManager(
  leases: Pick<LeaseStore, "get">,
  clock: Pick<Clock, "elapsedMs">,
): ControllerManager {
  let observed: ObservedLease | undefined;
  return {
    async isActive(signal) {
      const lease = await leases.get(CONTROLLER_MANAGER_LEASE, signal);
      if (lease === undefined) return false;
      observed = observeLease(observed, lease, clock.elapsedMs());
      return isHeldAt(observed, clock.elapsedMs());
    },
  };
}
