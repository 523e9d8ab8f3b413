/** Prometheus metrics under kube-apiserver's names, so that existing dashboards and alerts fit. */
import { collectDefaultMetrics, Counter, Histogram, Registry } from "prom-client";
import type { RequestInfo } from "./request_info.ts";

/** Counts and times requests, and renders the page. */
export interface Metrics {
  observe(info: RequestInfo, code: number, seconds: number): void;
  /** A certificate was issued for a request that asked for a duration. */
  observeDuration(signerName: string, honored: boolean): void;
  /** The text exposition format and its Content-Type. */
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** Verbs whose time is the client's, not ours. */
const LONG_RUNNING: ReadonlySet<string> = new Set(["watch"]);

/** Creates a registry of its own; nothing global is touched. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const labels = ["verb", "group", "version", "resource", "subresource"] as const;
  const requests = new Counter({
    name: "apiserver_request_total",
    help: "Requests by verb, resource and HTTP code.",
    labelNames: [...labels, "code"],
    registers: [registry],
  });
  const durations = new Histogram({
    name: "apiserver_request_duration_seconds",
    help: "Time from receiving a request to its answer, in seconds; watches left out.",
    labelNames: [...labels],
    buckets: [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60],
    registers: [registry],
  });
  const requested = new Counter({
    name: "apiserver_certificates_registry_csr_requested_duration_total",
    help: "Certificates issued to requests that asked for a duration.",
    labelNames: ["signerName"],
    registers: [registry],
  });
  const honored = new Counter({
    name: "apiserver_certificates_registry_csr_honored_duration_total",
    help: "Certificates issued with the duration that was asked for.",
    labelNames: ["signerName"],
    registers: [registry],
  });
  return {
    observe(info, code, seconds) {
      const values = labelsOf(info);
      requests.inc({ ...values, code: String(code) });
      if (!LONG_RUNNING.has(info.verb)) durations.observe(values, seconds);
    },
    observeDuration(signerName, wasHonored) {
      const label = { signerName: signerName.startsWith("kubernetes.io/") ? signerName : "other" };
      requested.inc(label);
      if (wasHonored) honored.inc(label);
    },
    async render() {
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

function labelsOf(info: RequestInfo): Record<"verb" | "group" | "version" | "resource" | "subresource", string> {
  return {
    verb: info.verb.toUpperCase(),
    group: info.apiGroup,
    version: info.apiVersion,
    resource: info.resource,
    subresource: info.subresource,
  };
}
