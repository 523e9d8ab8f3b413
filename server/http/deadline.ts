/** The timeout of requests (apiserver `pkg/endpoints/filters/request_deadline.go`, `pkg/server/filters/timeout.go`). */
import { parseDuration } from "../../core/lib/duration.ts";
import { jsonText } from "../../core/kube/wire/object_json.ts";
import { badRequest, type StatusError, timeout } from "../../core/kube/status/status.ts";
import type { Clock } from "../../core/ports.ts";
import type { Answer } from "./answer.ts";
import type { Exchange } from "./exchange.ts";
import { respondBytes } from "./respond.ts";

/** The timeout of a request that specifies none, or a longer one. */
export const MAX_TIMEOUT_MS = 60_000;

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

/** The precision of all timeouts of requests. */
const TICK_MS = 100;

/** The timeouts of all requests. They share one timer, because one timer each would cost more than a small request. */
export class Deadlines {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  /** The functions that end the running requests, with their deadlines. */
  readonly #ends = new Map<() => void, number>();
  #isTicking = false;

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
  }

  /**
   * Resolves with the result of `run`. When that takes longer than `ms`, it calls `expire` and rejects with a timeout.
   * A timeout of less than a millisecond expires before `run` begins.
   */
  keep<T>(ms: number, run: () => Promise<T>, expire: () => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        expire();
        reject(createTimeoutError());
      };
      if (ms < 1) return end();
      this.#ends.set(end, this.#clock.elapsedMs() + ms);
      if (!this.#isTicking) this.#tick().catch(() => undefined);
      run().then(resolve, reject).then(() => this.#ends.delete(end));
    });
  }

  async #tick(): Promise<void> {
    this.#isTicking = true;
    try {
      while (this.#ends.size > 0) {
        await this.#clock.sleep(TICK_MS, this.#signal);
        const now = this.#clock.elapsedMs();
        for (const [end, at] of this.#ends) {
          if (at > now) continue;
          this.#ends.delete(end);
          end();
        }
      }
    } finally {
      this.#isTicking = false;
    }
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
