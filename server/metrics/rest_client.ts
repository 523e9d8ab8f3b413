/** Metrics of a client of a Kubernetes API, under client-go's names. */
import { Counter, Histogram } from "prom-client";
import type { Clock, Transport } from "../../core/ports.ts";
import type { MetricsRegistry } from "./registry.ts";

/** Wraps the transport to `host` (`name:port`): each request is counted and timed, until its answer begins. */
export function observeTransport(
  transport: Transport,
  host: string,
  registry: MetricsRegistry,
  clock: Pick<Clock, "elapsedMs">,
): Transport {
  const requests = new Counter({
    name: "rest_client_requests_total",
    help: "Requests to the API by code, method and host; code is <error> without an answer.",
    labelNames: ["code", "host", "method"],
    registers: [registry],
  });
  const durations = new Histogram({
    name: "rest_client_request_duration_seconds",
    help: "Time of a request until its answer begins.",
    labelNames: ["host", "verb"],
    buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60],
    registers: [registry],
  });
  return {
    async send(request, signal) {
      const startedAt = clock.elapsedMs();
      let code = "<error>";
      try {
        const response = await transport.send(request, signal);
        code = String(response.status);
        return response;
      } finally {
        requests.inc({ code, host, method: request.method });
        durations.observe({ host, verb: request.method }, (clock.elapsedMs() - startedAt) / 1000);
      }
    },
  };
}
