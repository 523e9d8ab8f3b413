/**
 * Metrics of flow control, under kube-apiserver's names where they have its labels: what is served and what waits is
 * counted by priority level alone here, and so has names of ours.
 */
import { Counter, Gauge } from "prom-client";
import type { FlowControl, FlowControlOptions, LevelFigures } from "../flowcontrol/flow_control.ts";
import type { MetricsRegistry } from "./registry.ts";

/** Counts requests that are turned away; the answer is to be told of each. */
export function countRejections(registry: MetricsRegistry): NonNullable<FlowControlOptions["onRejected"]> {
  const rejected = new Counter({
    name: "apiserver_flowcontrol_rejected_requests_total",
    help: "Requests that were told to come again, by priority level, flow schema and reason.",
    labelNames: ["priority_level", "flow_schema", "reason"],
    registers: [registry],
  });
  // The name of a flow begins with its schema; what follows is whose it is, and no label.
  return ({ level, flow }, reason) =>
    rejected.inc({ priority_level: level, flow_schema: flow.split("/", 1)[0] ?? "", reason });
}

/** Tells how many requests of each level are served and wait, and how many may be. */
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
