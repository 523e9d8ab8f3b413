/**
 * Metrics of flow control, under kube-apiserver's names if they have the same labels. Executing and waiting requests are
 * only counted by priority level here, so those have our own names.
 */
import { Counter, Gauge } from "prom-client";
import type { FlowControl, FlowControlOptions, LevelFigures } from "../flowcontrol/flow_control.ts";
import type { MetricsRegistry } from "./registry.ts";
import type { Clock } from "../../core/ports.ts";

/** Adds the counter of rejected requests; the returned function must be called for each of them. */
export function countRejections(registry: MetricsRegistry): NonNullable<FlowControlOptions["onRejected"]> {
  const rejected = new Counter({
    name: "apiserver_flowcontrol_rejected_requests_total",
    help: "Requests that were rejected with 429, by priority level, flow schema and reason.",
    labelNames: ["priority_level", "flow_schema", "reason"],
    registers: [registry],
  });
  // The name of a flow begins with its schema; the rest names the user or namespace, and is no label.
  return ({ level, flow }, reason) =>
    rejected.inc({ priority_level: level, flow_schema: flow.split("/", 1)[0] ?? "", reason });
}

/** Adds gauges of the executing and waiting requests of each level, and of its seats. */
export function gaugeLevels(registry: MetricsRegistry, flowControl: Pick<FlowControl, "figures">): void {
  const gauge = (name: string, help: string, figure: keyof LevelFigures) =>
    new Gauge({
      name,
      help,
      labelNames: ["priority_level"],
      registers: [registry],
      collect() {
        for (const [level, of] of Object.entries(flowControl.figures())) {
          this.set({ priority_level: level }, of[figure]);
        }
      },
    });
  gauge("tlsboot_flowcontrol_executing_requests", "Requests that are being served, by priority level.", "executing");
  gauge("tlsboot_flowcontrol_inqueue_requests", "Requests that wait for a seat, by priority level.", "waiting");
  gauge("apiserver_flowcontrol_nominal_limit_seats", "Seats of a priority level itself.", "seats");
}

/** Counts requests while they are served. */
export interface Inflight {
  /** Counts a request that has got a seat; the returned function ends it. A watch ends once it has begun. */
  begin(verb: string): () => void;
}

const SECOND_MS = 1_000;
const READ_ONLY_VERBS: ReadonlySet<string> = new Set(["get", "list", "watch"]);

/**
 * Adds `apiserver_current_inflight_requests` to a registry (`apiserver/pkg/server/filters/maxinflight.go`): the maximum of
 * the last whole second. kube-apiserver updates it with a timer; here the requests and the scrapes do, so that no timer runs
 * while the server is idle.
 */
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
