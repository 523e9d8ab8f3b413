/**
 * Metrics of controllers, under the names of client-go's work queues and leader election. A controller in a separate
 * process also has a plain HTTP listener for metrics, and metrics of its requests to the API.
 */
import { Counter, Gauge, Histogram } from "prom-client";
import type { Clock, QueueObserver, Transport } from "../../core/ports.ts";
import { createExponentialBuckets, type MetricsRegistry } from "./registry.ts";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { AppError } from "../../core/errors.ts";

/** The metrics that controllers update. */
export interface ControllerMetrics {
  queue(controller: string): QueueObserver;
  /** Records whether this process leads. */
  setLeading(leaseName: string, isLeading: boolean): void;
  /** Counts a request that an approver holds for a person. */
  requestHeld(reason: string): void;
  /** Counts a notification that was sent or dropped, or an attempt that failed. */
  notified(result: "sent" | "failed" | "dropped"): void;
}

/** Ten decades from ten nanoseconds on, as in client-go. */
const BUCKETS = createExponentialBuckets(1e-8, 10, 10);

/** Adds the metrics of controllers to a registry. */
export function createControllerMetrics(registry: MetricsRegistry, clock: Pick<Clock, "elapsedMs">): ControllerMetrics {
  const options = (name: string, help: string) => ({ name, help, labelNames: ["name"], registers: [registry] });
  const depth = new Gauge(options("workqueue_depth", "Names that wait in the queue of a controller."));
  const adds = new Counter(options("workqueue_adds_total", "Names added to the queue."));
  const retries = new Counter(options("workqueue_retries_total", "Names added again after a failure."));
  const waited = new Histogram({
    ...options("workqueue_queue_duration_seconds", "How long a name waits in the queue."),
    buckets: BUCKETS,
  });
  const worked = new Histogram({
    ...options("workqueue_work_duration_seconds", "How long the work on a name takes."),
    buckets: BUCKETS,
  });
  const observers = new Map<string, TimedQueue>();
  new Gauge({
    ...options("workqueue_unfinished_work_seconds", "How long work that is in progress has taken so far, in total."),
    collect() {
      for (const [name, queue] of observers) {
        this.set({ name }, queue.running().reduce((total, seconds) => total + seconds, 0));
      }
    },
  });
  new Gauge({
    ...options("workqueue_longest_running_processor_seconds", "How long the longest running work has taken so far."),
    collect() {
      for (const [name, queue] of observers) this.set({ name }, Math.max(0, ...queue.running()));
    },
  });
  const leading = new Gauge(options("leader_election_master_status", "1 where this process leads, else 0."));
  const held = new Counter({
    name: "tlsboot_held_requests_total",
    help: "Requests that an approver holds for a person, by reason.",
    labelNames: ["reason"],
    registers: [registry],
  });

  const notifications = new Counter({
    name: "tlsboot_notifications_total",
    help: "Notifications that were sent or dropped, and attempts that failed.",
    labelNames: ["result"],
    registers: [registry],
  });

  // Prometheus sees no increase when a series begins with one, so it begins with zero.
  for (const result of ["sent", "failed", "dropped"]) notifications.inc({ result }, 0);
  for (const reason of ["NameClaimed", "NotInInventory", "UnusualSubject"]) held.inc({ reason }, 0);

  return {
    requestHeld: (reason) => held.inc({ reason }),
    notified: (result) => notifications.inc({ result }),
    setLeading: (leaseName, isLeading) => leading.set({ name: leaseName }, isLeading ? 1 : 0),
    queue(name) {
      const queue = observers.get(name) ?? timeQueue(clock, {
        depth: depth.labels({ name }),
        adds: adds.labels({ name }),
        retries: retries.labels({ name }),
        waited: waited.labels({ name }),
        worked: worked.labels({ name }),
      });
      observers.set(name, queue);
      return queue;
    },
  };
}

interface TimedQueue extends QueueObserver {
  /** How long each name in progress has been worked on, in seconds. */
  running(): readonly number[];
}

interface QueueSeries {
  readonly depth: Pick<Gauge.Internal<string>, "inc" | "dec">;
  readonly adds: Pick<Counter.Internal, "inc">;
  readonly retries: Pick<Counter.Internal, "inc">;
  readonly waited: Pick<Histogram.Internal<string>, "observe">;
  readonly worked: Pick<Histogram.Internal<string>, "observe">;
}

function timeQueue(clock: Pick<Clock, "elapsedMs">, series: QueueSeries): TimedQueue {
  const addedAt = new Map<string, number>();
  const takenAt = new Map<string, number>();
  // An unused queue must be in the metrics too.
  series.depth.inc(0);
  series.adds.inc(0);
  series.retries.inc(0);
  const now = (): number => clock.elapsedMs();
  const secondsSince = (at: number): number => Math.max(0, now() - at) / 1000;
  return {
    added(name) {
      series.adds.inc();
      series.depth.inc();
      addedAt.set(name, now());
    },
    taken(name) {
      series.depth.dec();
      series.waited.observe(secondsSince(addedAt.get(name) ?? now()));
      addedAt.delete(name);
      takenAt.set(name, now());
    },
    done(name) {
      series.worked.observe(secondsSince(takenAt.get(name) ?? now()));
      takenAt.delete(name);
    },
    retried: () => series.retries.inc(),
    running: () => [...takenAt.values()].map(secondsSince),
  };
}

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

/** Wraps the transport to `host` (`name:port`) to count each request, and to time it until its answer begins. */
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
