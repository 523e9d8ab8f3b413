/**
 * Metrics of roles that serve no API and are clients of one: a listener only for metrics, over plain HTTP, and the requests
 * to the API under client-go's names.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { AppError } from "../../core/errors.ts";
import type { MetricsRegistry } from "./registry.ts";
import { Counter, Histogram } from "prom-client";
import type { Clock, Transport } from "../../core/ports.ts";

export interface MetricsListener extends AsyncDisposable {
  readonly port: number;
}

/** Serves only `/metrics` and `/healthz`. Throws AppError `port_in_use` or `io`. */
export async function listenForMetrics(
  registry: MetricsRegistry,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<MetricsListener> {
  const server = createServer(async (request, response) => {
    const path = (request.url ?? "").split("?")[0];
    if (request.method !== "GET" || (path !== "/metrics" && path !== "/healthz")) {
      response.writeHead(404, { "content-type": "text/plain; charset=utf-8" }).end("404 page not found\n");
      return;
    }
    if (path === "/healthz") return void response.writeHead(200, { "content-type": "text/plain" }).end("ok");
    const text = await registry.metrics().catch(() => undefined);
    if (text === undefined) {
      response.writeHead(500, { "content-type": "text/plain; charset=utf-8" }).end("cannot gather the metrics\n");
    } else response.writeHead(200, { "content-type": registry.contentType }).end(text);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const what = `cannot listen on "${host}:${port}" for metrics: ${error.message}`;
      const hint = "choose another address with the setting metricsBindAddress";
      reject(new AppError(error.code === "EADDRINUSE" ? "port_in_use" : "io", what, { cause: error, hint }));
    });
    server.listen({ host, port }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

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
