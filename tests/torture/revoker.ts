/**
 * Steals credentials, revokes them while the server is killed, and uses them for the rest of the storm: none may be accepted
 * after its revocation was acknowledged. Each victim is a node that bootstraps, opens a watch, and renews its certificate in
 * the moment of the revocation. The client code is the real one.
 */
import { createApiClient, withQuery } from "../../client/objects/api.ts";
import type { FilePort } from "../../client/files.ts";
import type { TlsTransport } from "../../client/transport/tls_transport.ts";
import { getErrorMessage, isAppError } from "../../core/errors.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig_context.ts";
import { StatusError } from "../../core/kube/status_error.ts";
import type { Clock, Random } from "../../core/ports.ts";
import { createRevocation, type RevocationTarget } from "../../core/revocation/revocation.ts";
import { beginLife, isSkewed, type Life, type NodeOptions, requestUsername } from "./node.ts";
import { isTransient } from "./watcher.ts";

export interface RevokerOptions extends Omit<NodeOptions, "onStored"> {
  /** The cluster with the credentials of the administrator. */
  readonly cluster: ResolvedCluster;
  /**
   * The milliseconds from the acknowledgement until every server refuses the credential: 0 for one server, which does so
   * at once.
   */
  readonly graceMs: number;
  /**
   * Returns the elapsed time of the clock since which no server is held up, which could not end a watch meanwhile; Infinity
   * when a machine has lost power since the watch was opened, and can never end it.
   */
  readonly calmSinceMs: (openedMs: number) => number;
  /** The disk of the victims. */
  readonly files: FilePort;
  /** How much longer the pauses between two uses and between two revocations are than in a storm. */
  readonly pace: number;
}

/** Revokes credentials and uses them. */
export interface Revoker {
  /** Runs until the signal fires. */
  run(signal: AbortSignal): Promise<void>;
  /** Uses each credential once more. */
  useAll(signal: AbortSignal): Promise<void>;
  counts(): RevocationCounts;
}

export interface RevocationCounts {
  /** The number of acknowledged revocations. */
  readonly revocations: number;
  /** Uses of a revoked credential that were refused. */
  readonly refusals: number;
  /** Watches that were open at a revocation, and ended. */
  readonly endedWatches: number;
}

/** A revoked credential, with an open connection that has used it. */
interface Stolen {
  readonly what: string;
  /** A connection that was open before the revocation. */
  readonly earlier: TlsTransport;
  readonly life: Life;
  /** The elapsed time of the clock from which on it must be refused. */
  readonly refusedFromMs: number;
}

/** The longest pause between two uses of a revoked credential, and between two revocations. */
const USE_PAUSE_MS = 200;
const REVOKE_PAUSE_MS = 1_000;
/** The longest time before and after the revocation in which the victim renews. */
const RENEWAL_MS = 1_000;
/**
 * A watch ends within a second; the rest is for a client on a busy machine, and so is a multiple of the time that the
 * revocation itself took.
 */
const WATCH_ENDS_WITHIN_MS = 4_000;
const WATCH_ENDS_WITHIN_REVOCATIONS = 4;
const MANY_RENEWALS = 100;
const UNAUTHORIZED = 401;
const TOO_MANY_REQUESTS = 429;

export function createRevoker(options: RevokerOptions): Revoker {
  const { clock, random, connect, cluster, graceMs, calmSinceMs, files, pace, onFault } = options;
  const stolen: Stolen[] = [];
  const counts = { revocations: 0, refusals: 0, endedWatches: 0 };

  async function revokeNext(number: number, signal: AbortSignal): Promise<void> {
    const life = beginLife({ ...options, onStored: () => {}, onFault: () => {} }, number, files);
    await untilDone(() => life.bootstrap(signal), options, signal);
    const { serialNumber } = await life.getLeaf();
    const kinds: readonly RevocationTarget[] = [
      { kind: "node", value: life.nodeName },
      { kind: "user", value: `system:node:${life.nodeName}` },
      { kind: "serial", value: serialNumber },
    ];
    const target = kinds[Math.floor(random.float() * kinds.length)]!;
    const earlier = await life.open();
    const openedMs = clock.elapsedMs();
    const watch = startWatch(earlier, clock, signal);
    // A renewal has another serial number, so that only the other kinds of revocation cover it.
    const renewal = new AbortController();
    const renewing = target.kind === "serial"
      ? Promise.resolve()
      : life.renew((done) => done >= MANY_RENEWALS, AbortSignal.any([signal, renewal.signal])).catch(() => {});
    await clock.sleep(random.float() * RENEWAL_MS, signal).catch(() => {});
    let requestedMs = 0;
    await untilDone(
      () => {
        requestedMs = clock.elapsedMs();
        return revoke(target, signal);
      },
      options,
      signal,
    );
    if (signal.aborted) return;
    const acknowledgedMs = clock.elapsedMs();
    const withinMs = Math.round(
      WATCH_ENDS_WITHIN_MS + WATCH_ENDS_WITHIN_REVOCATIONS * (acknowledgedMs - requestedMs),
    );
    counts.revocations++;
    await clock.sleep(random.float() * RENEWAL_MS, signal).catch(() => {});
    renewal.abort();
    await renewing;
    const what = `the certificate of ${life.nodeName}, revoked by its ${target.kind}`;
    stolen.push({ what, earlier, life, refusedFromMs: acknowledgedMs + graceMs });
    void assertEnds(watch, `the watch with ${what}`, { openedMs, acknowledgedMs, withinMs }, signal);
  }

  /** Creates the Revocation; it may be there already when an earlier answer was lost. */
  async function revoke(target: RevocationTarget, signal: AbortSignal): Promise<void> {
    await using transport = await connect(cluster);
    const body = createRevocation(target, { reason: "certificateHold", message: "stolen" });
    const path = "/apis/tlsboot/v1alpha1/revocations";
    await createApiClient(transport, { clock }).requestJson({ method: "POST", path, body }, signal)
      .catch((error: unknown) => {
        if (!isAppError(error, "already_exists")) throw error;
      });
  }

  async function assertEnds(
    watch: { readonly ended: Promise<void> },
    what: string,
    { openedMs, acknowledgedMs, withinMs }: Readonly<Record<"openedMs" | "acknowledgedMs" | "withinMs", number>>,
    signal: AbortSignal,
  ): Promise<void> {
    let outcome = "late";
    while (outcome === "late") {
      const leftMs = Math.max(acknowledgedMs, calmSinceMs(openedMs)) + withinMs - clock.elapsedMs();
      if (leftMs === Infinity) return;
      if (leftMs <= 0) break;
      const late = clock.sleep(leftMs, signal).then(() => "late", () => "stopped");
      outcome = await Promise.race([watch.ended.then(() => "ended"), late]);
    }
    if (outcome === "ended") counts.endedWatches++;
    if (outcome === "late") onFault(`${what} is open ${withinMs} ms after the acknowledgement`);
  }

  /** Presents a revoked credential, over a new connection or the one from before. */
  async function use({ what, earlier, life, refusedFromMs }: Stolen, isNew: boolean, signal: AbortSignal) {
    await clock.sleep(Math.max(0, refusedFromMs - clock.elapsedMs()), signal);
    const transport = isNew ? await life.open() : earlier;
    try {
      const username = await requestUsername(createApiClient(transport, { clock }), signal);
      onFault(`${what}, was accepted as ${username}, over ${isNew ? "a new connection" : "the earlier connection"}`);
    } catch (error) {
      if (signal.aborted || isTransient(error)) return;
      const code = error instanceof StatusError ? error.status.code : undefined;
      if (code === UNAUTHORIZED) counts.refusals++;
      else if (code !== TOO_MANY_REQUESTS) onFault(`${what}, was answered with: ${getErrorMessage(error)}`);
    } finally {
      if (isNew) await transport[Symbol.asyncDispose]();
    }
  }

  async function useForEver(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const one = stolen[Math.floor(random.float() * stolen.length)];
      if (one !== undefined) await use(one, random.float() < 0.5, signal).catch(() => {});
      await clock.sleep(random.float() * USE_PAUSE_MS * pace, signal).catch(() => {});
    }
  }

  async function revokeForEver(signal: AbortSignal): Promise<void> {
    for (let number = 0; !signal.aborted; number++) {
      await revokeNext(number, signal).catch((error: unknown) => {
        if (signal.aborted || isTransient(error) || (options.areClocksSet && isSkewed(error))) return;
        onFault(`revoker: ${getErrorMessage(error)}`);
      });
      await clock.sleep(random.float() * REVOKE_PAUSE_MS * pace, signal).catch(() => {});
    }
  }

  return {
    async run(signal) {
      await Promise.all([revokeForEver(signal), useForEver(signal), useForEver(signal)]);
      await Promise.allSettled(stolen.map(({ earlier }) => earlier[Symbol.asyncDispose]()));
    },
    async useAll(signal) {
      for (const one of [...stolen]) for (const isNew of [true, false]) await use(one, isNew, signal);
    },
    counts: () => counts,
  };
}

/** Repeats a step while the server is away. */
async function untilDone(
  step: () => Promise<void>,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      return await step();
    } catch (error) {
      if (!isTransient(error)) throw error;
      await clock.sleep(random.float() * USE_PAUSE_MS, signal).catch(() => {});
    }
  }
}

const OWN_REQUESTS = withQuery("/apis/certificates.k8s.io/v1/certificatesigningrequests", {
  watch: "true",
  timeoutSeconds: "3600",
});

/** Watches until the stream ends, for whatever reason. */
function startWatch(transport: TlsTransport, clock: Clock, signal: AbortSignal): { readonly ended: Promise<void> } {
  async function follow(): Promise<void> {
    const answer = await createApiClient(transport, { clock }).open({ method: "GET", path: OWN_REQUESTS }, signal);
    for await (const _chunk of answer.body);
  }
  return { ended: follow().catch(() => {}) };
}
