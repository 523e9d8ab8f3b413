/** Waits until a server answers, before it is asked for anything that matters. */
import { AppError, isAppError } from "../core/errors.ts";
import type { Clock, Logger, Random, Transport } from "../core/ports.ts";
import { limitTime } from "./time_limit.ts";

/** kubelet's: 1 min of tries, 2 s and up to a fifth more apart, each with 1 s to answer (`bootstrap.go` waitForServer). */
const LIMIT_MS = 60_000;
const PAUSE_MS = 2_000;
const ANSWER_MS = 1_000;

/**
 * Asks `/healthz` until it answers, for a minute or `waitSeconds` at most; not having answered is only logged, the next request says why.
 * A refusal of our credentials counts as an answer. AppError `tls_untrusted` at once: waiting does not cure it.
 */
export async function waitForServer(
  transport: Transport,
  deps: { readonly clock: Clock; readonly random: Random; readonly logger: Logger; readonly waitSeconds?: number },
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, logger } = deps;
  const limitMs = Math.min(LIMIT_MS, (deps.waitSeconds ?? Infinity) * 1000);
  const startedAt = clock.elapsedMs();
  while (clock.elapsedMs() - startedAt < limitMs) {
    if (await isAnswering(transport, clock, signal)) return;
    await clock.sleep(PAUSE_MS * (1 + 0.2 * random.float()), signal);
  }
  logger.warn("Error waiting for apiserver to come up", { waitedMs: limitMs });
}

async function isAnswering(transport: Transport, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const tooLate = (): Error =>
    new AppError("timeout", "cannot reach the server: no answer in time", { retryable: true });
  await using limit = limitTime(clock, ANSWER_MS, tooLate, signal);
  try {
    const answer = await transport.send({ method: "GET", path: "/healthz", headers: {} }, limit.signal);
    for await (const _ of answer.body); // read to the end, so that the connection can be used again
    return (answer.status >= 200 && answer.status < 300) || answer.status === 401 || answer.status === 403;
  } catch (error) {
    signal.throwIfAborted();
    if (isAppError(error, "unreachable", "timeout")) return false;
    throw error;
  }
}
