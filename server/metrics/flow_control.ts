/**
 * Metrics of flow control, under kube-apiserver's names if they have the same labels. Executing and waiting requests are
 * only counted by priority level here, so those have our own names.
 */
import { Counter, Gauge } from "prom-client";
import type { FlowControl, FlowControlOptions, LevelFigures } from "../flowcontrol/flow_control.ts";
import type { MetricsRegistry } from "./registry.ts";

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
export function gaugeLevels(registry: MetricsRegistry, { figures }: Pick<FlowControl, "figures">): void {
  const gauge = (name: string, help: string, figure: keyof LevelFigures) =>
    new Gauge({
      name,
      help,
      labelNames: ["priority_level"],
      registers: [registry],
      collect() {
        for (const [level, of] of Object.entries(figures())) this.set({ priority_level: level }, of[figure]);
      },
    });
  gauge("tlsboot_flowcontrol_executing_requests", "Requests that are being served, by priority level.", "executing");
  gauge("tlsboot_flowcontrol_inqueue_requests", "Requests that wait for a seat, by priority level.", "waiting");
  gauge("apiserver_flowcontrol_nominal_limit_seats", "Seats of a priority level itself.", "seats");
}
