/** Prometheus metrics under kube-apiserver's names, so that existing dashboards and alerts fit. */
import { collectDefaultMetrics, Counter, Histogram, Registry } from "prom-client";
import type { Answer } from "./answer.ts";
import type { Exchange } from "./exchange.ts";
import { headerOf } from "./exchange.ts";
import { encodeMetricFamilies, PROTOBUF_METRICS } from "./metrics_protobuf.ts";
import { matchesClause, parseAccept } from "./negotiation.ts";
import type { RequestInfo } from "./request_info.ts";
import { acceptsGzip, respondBytes } from "./respond.ts";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { lookup } from "../../core/lookup.ts";

/** Counts and times requests, and renders the page. */
export interface Metrics {
  observe(request: ObservedRequest, code: number, seconds: number): void;
  /** A certificate was issued for a request that asked for a duration. */
  observeDuration(signerName: string, honored: boolean): void;
  /** The page in the text exposition format, or as delimited protobuf. */
  render(form: "text" | "protobuf"): Promise<Uint8Array>;
  /** When the process started, in seconds since 1970. */
  readonly startedAt: number;
}

/** What is counted of a request. */
export interface ObservedRequest {
  readonly info: RequestInfo;
  readonly dryRun: boolean;
  /** The path is served: labels are only made of names that the server itself knows, never of what clients invent. */
  readonly isServed: boolean;
}

/** Verbs whose time is the client's, not ours. */
const LONG_RUNNING: ReadonlySet<string> = new Set(["watch"]);

const LABELS = ["verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component"] as const;

/** Creates a registry of its own; nothing global is touched. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: "apiserver_request_total",
    help: "Requests by verb, resource and HTTP code.",
    labelNames: [...LABELS, "code"],
    registers: [registry],
  });
  const durations = new Histogram({
    name: "apiserver_request_duration_seconds",
    help: "Time from receiving a request to its answer, in seconds; watches left out.",
    labelNames: [...LABELS],
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
    startedAt: Math.floor(performance.timeOrigin / 1000),
    observe(request, code, seconds) {
      const values = labelsOf(request);
      requests.inc({ ...values, code: String(code) });
      if (!LONG_RUNNING.has(request.info.verb)) durations.observe(values, seconds);
    },
    observeDuration(signerName, wasHonored) {
      const label = { signerName: signerName.startsWith("kubernetes.io/") ? signerName : "other" };
      requested.inc(label);
      if (wasHonored) honored.inc(label);
    },
    async render(form) {
      if (form === "protobuf") return encodeMetricFamilies(await registry.getMetricsAsJSON());
      return new TextEncoder().encode(await registry.metrics());
    },
  };
}

const compress = promisify(gzip);

/** Answers `/metrics`, whatever the method, in the form that the client reads. */
export async function respondMetrics(exchange: Exchange, metrics: Metrics): Promise<Answer> {
  const { form, contentType } = formOf(headerOf(exchange, "accept") ?? "");
  const bytes = await metrics.render(form);
  const isCompressed = acceptsGzip(exchange);
  return await respondBytes(exchange, 200, contentType, isCompressed ? await compress(bytes) : bytes, {
    "process-start-time-unix": String(metrics.startedAt),
    ...(isCompressed ? { "content-encoding": "gzip" } : {}),
  });
}

const ESCAPINGS: readonly string[] = ["allow-utf-8", "underscores", "dots", "values"];

/** Text unless the client asks for protobuf; there are no names that the escapings would change. */
function formOf(accept: string): { readonly form: "text" | "protobuf"; readonly contentType: string } {
  for (const clause of parseAccept(accept)) {
    const { proto, encoding, version = "", escaping = "" } = clause.parameters;
    const suffix = `escaping=${ESCAPINGS.includes(escaping) ? escaping : "underscores"}`;
    if (matchesClause(clause, PROTOBUF_METRICS.type) && proto === PROTOBUF_METRICS.proto && encoding === "delimited") {
      const parameters = `proto=${PROTOBUF_METRICS.proto}; encoding=delimited; ${suffix}`;
      return { form: "protobuf", contentType: `${PROTOBUF_METRICS.type}; ${parameters}` };
    }
    if (clause.type === "text" && clause.subtype === "plain" && (version === "" || version === "0.0.4")) {
      return { form: "text", contentType: `${TEXT_TYPE}; ${suffix}` };
    }
  }
  return { form: "text", contentType: `${TEXT_TYPE}; escaping=underscores` };
}

const TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

const VERBS: Readonly<Record<string, string>> = {
  create: "POST",
  update: "PUT",
  get: "GET",
  list: "LIST",
  watch: "WATCH",
  patch: "PATCH",
  delete: "DELETE",
  deletecollection: "DELETECOLLECTION",
  post: "POST",
  put: "PUT",
};

function labelsOf({ info, dryRun, isServed }: ObservedRequest): Record<(typeof LABELS)[number], string> {
  const isResource = isServed && info.isResourceRequest;
  return {
    verb: lookup(VERBS, info.verb) ?? "other",
    dry_run: dryRun ? "All" : "",
    group: isResource ? info.apiGroup : "",
    version: isResource ? info.apiVersion : "",
    resource: isResource ? info.resource : "",
    subresource: isResource ? info.subresource : isServed ? info.path : "",
    scope: isResource ? scopeOf(info) : "",
    component: isResource ? "apiserver" : "",
  };
}

function scopeOf({ name, verb, namespace }: RequestInfo): string {
  if (name !== "" || verb === "create") return "resource";
  return namespace === "" ? "cluster" : "namespace";
}
