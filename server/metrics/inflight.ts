/**
 * How many requests are served at once, under kube-apiserver's name (`apiserver/pkg/server/filters/maxinflight.go`): the
 * most of the last whole second. kube-apiserver looks once a second; here the requests themselves and the reader of the
 * metrics move the seconds on, so that nothing runs while nobody asks.
 */
import { Gauge } from "prom-client";
import type { Clock } from "../../core/ports.ts";
import type { MetricsRegistry } from "./registry.ts";

/** Hears of each request while it is served. */
export interface Inflight {
  /** A request has got its seat; the answer is called when it leaves. Watches leave when they have begun. */
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

/** A number that changes, and the most that it was in the second before. */
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

  /** A second in which nothing changes has what it began with. */
  #moveTo(second: number): void {
    if (second === this.#second) return;
    this.#mostBefore = second === this.#second + 1 ? this.#most : this.#now;
    this.#most = this.#now;
    this.#second = second;
  }
}
