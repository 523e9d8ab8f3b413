/** A listener only for metrics, over plain HTTP, for roles that serve no API. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { AppError } from "../../core/errors.ts";
import type { MetricsRegistry } from "./registry.ts";

/** A running listener for metrics. */
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
      const hint = "choose another address with --metrics-bind-address";
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
