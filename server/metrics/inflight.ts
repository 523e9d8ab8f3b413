/**
 * The number of requests that are served at once, under kube-apiserver's name (`apiserver/pkg/server/filters/maxinflight.go`): the
 * maximum of the last whole second. kube-apiserver updates it with a timer; here the requests and the scrapes do, so that
 * no timer runs while the server is idle.
 */
import { Gauge } from "prom-client";
import type { Clock } from "../../core/ports.ts";
import type { MetricsRegistry } from "./registry.ts";

/** Counts requests while they are served. */
export interface Inflight {
  /** Counts a request that has got a seat; the returned function ends it. A watch ends once it has begun. */
  begin(verb: string): () => void;
}

const SECOND_MS = 1_000;
const READ_ONLY_VERBS: ReadonlySet<string> = new Set(["get", "list", "watch"]);

/** Adds `apiserver_current_inflight_requests` to a registry. */
export function gaugeInflight(registry: MetricsRegistry, { elapsedMs }: Pick<Clock, "elapsedMs">): Inflight {
  const second = (): number => Math.floor(elapsedMs() / SECOND_MS);
  const kinds = { readOnly: new HighWater(second()), mutating: new HighWater(second()) };
  new Gauge({
    name: "apiserver_current_inflight_requests",
    help: "Most requests that were served at once in the last second, by what they may change.",
    labelNames: ["request_kind"],
    registers: [registry],
    collect() {
      for (const [kind, mark] of Object.entries(kinds)) this.set({ request_kind: kind }, mark.getLastSecond(second()));
    },
  });
  return {
    begin(verb) {
      const mark = READ_ONLY_VERBS.has(verb) ? kinds.readOnly : kinds.mutating;
      mark.change(1, second());
      return () => mark.change(-1, second());
    },
  };
}

/** A number that changes, and its maximum in the last second. */
class HighWater {
  #now = 0;
  #most = 0;
  #mostBefore = 0;
  #second: number;

  constructor(second: number) {
    this.#second = second;
  }

  change(by: number, second: number): void {
    this.#moveTo(second);
    this.#now += by;
    this.#most = Math.max(this.#most, this.#now);
  }

  getLastSecond(second: number): number {
    this.#moveTo(second);
    return this.#mostBefore;
  }

  /** Moves on to a second; the maximum of a second without changes is the number it began with. */
  #moveTo(second: number): void {
    if (second === this.#second) return;
    this.#mostBefore = second === this.#second + 1 ? this.#most : this.#now;
    this.#most = this.#now;
    this.#second = second;
  }
}
