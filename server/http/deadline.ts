/** The timeout of requests (apiserver `pkg/endpoints/filters/request_deadline.go`, `pkg/server/filters/timeout.go`). */
import { parseDuration } from "../../core/lib/duration.ts";
import { jsonText } from "../../core/kube/wire/encode.ts";
import { badRequest, type StatusError, timeout } from "../../core/kube/status/status.ts";
import type { Clock } from "../../core/ports.ts";
import type { Answer } from "./answer.ts";
import type { Exchange } from "./exchange.ts";
import { respondBytes } from "./respond.ts";

/** The timeout of a request that specifies none, or a longer one. */
const MAX_TIMEOUT_MS = 60_000;

/**
 * Parses the query parameter `timeout` to milliseconds. Undefined when it is absent, not positive or too long, and for
 * watches, which have no timeout. Throws StatusError 400.
 */
export function parseRequestedTimeout({ info, query }: Exchange): number | undefined {
  const text = query.get("timeout") ?? "";
  if (text === "" || info.verb === "watch") return undefined;
  const parsed = parseDuration(text);
  if (!parsed.ok) throw badRequest(`invalid timeout specified in the request URL - ${parsed.error}`);
  return parsed.value > 0 && parsed.value < MAX_TIMEOUT_MS ? parsed.value : undefined;
}

/**
 * Creates the timeout of the requests that specify none. They all have the same timeout, so a single timer is enough; a
 * timer for each would cost more than a small request.
 */
export function createCommonDeadline(clock: Clock, signal: AbortSignal): {
  /** Runs a step; resolves to false when it timed out. */
  isDone(run: () => Promise<void>): Promise<boolean>;
} {
  const running = new Set<{ readonly at: number; expire(): void }>();
  let isWatched = false;

  async function watch(): Promise<void> {
    isWatched = true;
    try {
      for (let [first] = running; first !== undefined; [first] = running) {
        await clock.sleep(Math.max(0, first.at - clock.elapsedMs()), signal);
        const now = clock.elapsedMs();
        for (const one of running) {
          if (one.at > now) break;
          running.delete(one);
          one.expire();
        }
      }
    } finally {
      isWatched = false;
    }
  }

  return {
    async isDone(run) {
      const late = Promise.withResolvers<boolean>();
      const own = { at: clock.elapsedMs() + MAX_TIMEOUT_MS, expire: () => late.resolve(false) };
      running.add(own);
      if (!isWatched) watch().catch(() => undefined);
      try {
        return await Promise.race([run().then(() => true), late.promise]);
      } finally {
        running.delete(own);
      }
    },
  };
}

/** Runs a step of the pipeline with its own timeout; resolves to false when it timed out. */
export async function completesWithin(clock: Clock, ms: number, run: () => Promise<void>): Promise<boolean> {
  const done = new AbortController();
  const late = clock.sleep(ms, done.signal).then(() => true, () => false);
  try {
    return !await Promise.race([run().then(() => false), late]);
  } finally {
    done.abort(new Error("the request is done"));
  }
}

export function createTimeoutError(): StatusError {
  return timeout("request did not complete within the allotted timeout", 0);
}

/** Answers a request that timed out. Go detects the content type of this answer, which is plain text. */
export function respondTimeout(exchange: Exchange): Promise<Answer> {
  const { status } = createTimeoutError();
  const body = new TextEncoder().encode(`${jsonText({ ...status, details: {} })}\n`);
  return respondBytes(exchange, 504, "text/plain; charset=utf-8", body);
}
