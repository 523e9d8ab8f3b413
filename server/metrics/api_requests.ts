/**
 * Prometheus metrics of the requests to the API, and the answer at `/metrics`. Metrics with the same labels have
 * kube-apiserver's names, so that existing dashboards and alerts work. Flow control counts executing and waiting
 * requests only by priority level, so those metrics have our own names.
 */
import { Counter, Gauge, Histogram } from "prom-client";
import type { AuditLevel } from "../../core/audit/policy.ts";
import { createExponentialBuckets, createMetricsRegistry, type MetricsRegistry, REQUEST_BUCKETS } from "./registry.ts";
import type { Answer } from "../http/answer.ts";
import type { AuditCounts } from "../http/audit.ts";
import { type Exchange, findHeader } from "../http/exchange.ts";
import { parseAccept } from "../http/negotiation.ts";
import type { RequestInfo } from "../http/request_info.ts";
import { acceptsGzip, compress, respondBytes } from "../http/respond.ts";
import type { WatchedResource } from "../http/watch_handler.ts";
import { lookup } from "../../core/lib/record.ts";
import type { FlowControl, FlowControlOptions, LevelFigures } from "../flowcontrol/flow_control.ts";
import type { Clock } from "../../core/ports.ts";

/** Counts and times requests, and renders the metrics. */
export interface Metrics {
  observe(request: ObservedRequest, code: number, seconds: number): void;
  /** Counts an open watch; the returned function ends it. */
  beginLongRunning(request: ObservedRequest): () => void;
  watched(resource: WatchedResource, events: number): void;
  /** Counts an attempt to authenticate: `error` for invalid credentials, `failure` for none. */
  authenticated(result: "success" | "failure" | "error", username: string, seconds: number): void;
  /** Records the remaining lifetime of a client certificate, in seconds. */
  clientCertificate(secondsLeft: number): void;
  authorized(result: "allowed" | "denied" | "no-opinion", seconds: number): void;
  readonly audit: AuditCounts;
  /** Renders the metrics in the text exposition format. */
  render(): Promise<Uint8Array>;
  /** The start of the process, in seconds since 1970. */
  readonly startedAt: number;
}

/** The properties of a request that become labels. */
export interface ObservedRequest {
  readonly info: RequestInfo;
  readonly dryRun: boolean;
  /** Whether the path is served: labels come only from names that the server knows, never from clients. */
  readonly isServed: boolean;
}

/** Verbs whose duration depends on the client. */
const LONG_RUNNING: ReadonlySet<string> = new Set(["watch"]);

const LABELS = ["verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component"] as const;
const LONG_LABELS = LABELS.filter((label) => label !== "dry_run");
/** The buckets of kube-apiserver's authentication and authorization durations. */
const AUTH_BUCKETS = createExponentialBuckets(0.001, 2, 15);
const HOUR = 3600;
const DAY = 24 * HOUR;

/** Creates the metrics in a registry, by default a new one; there is no global registry. */
export function createMetrics(registry: MetricsRegistry = createMetricsRegistry()): Metrics {
  return {
    startedAt: Math.floor(performance.timeOrigin / 1000),
    ...createRequestCounts(registry),
    ...createAuthenticationCounts(registry),
    authorized: createResultCounts(registry, "authorization", {
      total: { name: "authorization_attempts_total", help: "Decisions of the authorizer, by their result." },
      seconds: "Time of an authorization, by its result.",
    }),
    audit: createAuditCounts(registry),
    async render() {
      return new TextEncoder().encode(await registry.metrics());
    },
  };
}

function createRequestCounts(registry: MetricsRegistry): Pick<Metrics, "observe" | "beginLongRunning" | "watched"> {
  const requests = new Counter({
    name: "apiserver_request_total",
    help: "Requests by verb, resource and HTTP code.",
    labelNames: [...LABELS, "code"],
    registers: [registry],
  });
  const durations = new Histogram({
    name: "apiserver_request_duration_seconds",
    help: "Time from receiving a request to its answer, in seconds, without watches.",
    labelNames: [...LABELS],
    buckets: [...REQUEST_BUCKETS],
    registers: [registry],
  });
  const longRunning = new Gauge({
    name: "apiserver_longrunning_requests",
    help: "Watches that are open.",
    labelNames: LONG_LABELS,
    registers: [registry],
  });
  const watchEvents = new Counter({
    name: "apiserver_watch_events_total",
    help: "Events sent to watchers.",
    labelNames: ["group", "version", "resource"],
    registers: [registry],
  });
  // Series are looked up by one string for all labels, because finding them by labels costs more than a small request.
  const series = new Map<string, (seconds: number) => void>();
  return {
    observe(request, code, seconds) {
      const values = toLabels(request);
      const key = `${Object.values(values).join(" ")} ${code}`;
      let record = series.get(key);
      if (record === undefined) {
        const counter = requests.labels({ ...values, code: String(code) });
        const histogram = LONG_RUNNING.has(request.info.verb) ? undefined : durations.labels(values);
        record = (took) => {
          counter.inc();
          histogram?.observe(took);
        };
        series.set(key, record);
      }
      record(seconds);
    },
    beginLongRunning(request) {
      const { dry_run: _, ...values } = toLabels(request);
      const gauge = longRunning.labels(values);
      gauge.inc();
      return () => gauge.dec();
    },
    watched: ({ group, version, resource }, events) => watchEvents.inc({ group, version, resource }, events),
  };
}

function createAuthenticationCounts(registry: MetricsRegistry): Pick<Metrics, "authenticated" | "clientCertificate"> {
  const countAttempt = createResultCounts(registry, "authentication", {
    total: { name: "authentication_attempts", help: "Attempts to authenticate, by their result." },
    seconds: "Time of an authentication, by its result.",
  });
  const users = new Counter({
    name: "authenticated_user_requests",
    help: "Authenticated requests by user; all but a few well-known names are other.",
    labelNames: ["username"],
    registers: [registry],
  });
  const clientCertificates = new Histogram({
    name: "apiserver_client_certificate_expiration_seconds",
    help: "How long client certificates are still valid when they are presented.",
    buckets: [
      ...[0, 0.5, 1, 2, 6, 12].map((hours) => hours * HOUR),
      ...[1, 2, 4, 7, 30, 90, 180, 360].map((days) => days * DAY),
    ],
    registers: [registry],
  });
  const getUserCounter = cacheByKey((username) => users.labels({ username }));
  return {
    authenticated(result, username, seconds) {
      countAttempt(result, seconds);
      if (result === "success") getUserCounter(toUsernameLabel(username)).inc();
    },
    clientCertificate: (secondsLeft) => clientCertificates.observe(secondsLeft),
  };
}

/** Creates a counter and a histogram of one step by its result, and the function that records both. */
function createResultCounts(
  registry: MetricsRegistry,
  step: string,
  help: { readonly total: { readonly name: string; readonly help: string }; readonly seconds: string },
): (result: string, seconds: number) => void {
  const total = new Counter({ ...help.total, labelNames: ["result"], registers: [registry] });
  const times = new Histogram({
    name: `${step}_duration_seconds`,
    help: help.seconds,
    labelNames: ["result"],
    buckets: AUTH_BUCKETS,
    registers: [registry],
  });
  const getSeries = cacheByKey((result) => ({ total: total.labels({ result }), times: times.labels({ result }) }));
  return (result, seconds) => {
    const { total, times } = getSeries(result);
    total.inc();
    times.observe(seconds);
  };
}

/** Wraps a function so that it runs once for each key. There must be few keys. */
function cacheByKey<T>(make: (key: string) => T): (key: string) => T {
  const known = new Map<string, T>();
  return (key) => {
    const value = known.get(key) ?? make(key);
    known.set(key, value);
    return value;
  };
}

function createAuditCounts(registry: MetricsRegistry): AuditCounts {
  const options = (name: string, help: string) => ({ name, help, registers: [registry] });
  const events = new Counter(options("apiserver_audit_event_total", "Events given to the audit log."));
  const rejected = new Counter(
    options("apiserver_audit_requests_rejected_total", "Requests refused because their event could not be written."),
  );
  const levels = new Counter({
    ...options("apiserver_audit_level_total", "Requests by the level that the audit policy gives them."),
    labelNames: ["level"],
  });
  const errors = new Counter({
    ...options("apiserver_audit_error_total", "Events that could not be written."),
    labelNames: ["plugin"],
  });
  return {
    decided: (level: AuditLevel) => levels.inc({ level }),
    written: () => events.inc(),
    lost: () => errors.inc({ plugin: "log" }),
    rejected: () => rejected.inc(),
  };
}

/** The user names that kube-apiserver counts separately (`apiserver/pkg/endpoints/filters/metrics.go`). */
const COUNTED_USERS: ReadonlySet<string> = new Set([
  "admin",
  "client",
  "kube_proxy",
  "kubelet",
  "system:serviceaccount:kube-system:default",
]);

function toUsernameLabel(username: string): string {
  if (COUNTED_USERS.has(username)) return username;
  return username.includes("@") ? "email_id" : "other";
}

/** Answers `/metrics` for any method. */
export async function respondMetrics(exchange: Exchange, metrics: Metrics): Promise<Answer> {
  const contentType = toContentType(findHeader(exchange, "accept") ?? "");
  const bytes = await metrics.render();
  const isCompressed = acceptsGzip(exchange);
  return await respondBytes(exchange, 200, contentType, isCompressed ? await compress(bytes) : bytes, {
    "process-start-time-unix": String(metrics.startedAt),
    ...(isCompressed ? { "content-encoding": "gzip" } : {}),
  });
}

const ESCAPINGS: readonly string[] = ["allow-utf-8", "underscores", "dots", "values"];

/**
 * Returns the text format whatever the client prefers: Prometheus prefers protobuf or OpenMetrics, but accepts text
 * from a server that supports neither. The header repeats the requested escaping, because no name here needs any.
 */
function toContentType(accept: string): string {
  const text = parseAccept(accept).find(({ type, subtype, parameters: { version = "" } }) =>
    type === "text" && subtype === "plain" && (version === "" || version === "0.0.4")
  );
  const { escaping = "" } = text?.parameters ?? {};
  return `${TEXT_TYPE}; escaping=${ESCAPINGS.includes(escaping) ? escaping : "underscores"}`;
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

function toLabels({ info, dryRun, isServed }: ObservedRequest): Record<(typeof LABELS)[number], string> {
  const isResource = isServed && info.isResourceRequest;
  return {
    verb: lookup(VERBS, info.verb) ?? "other",
    dry_run: dryRun ? "All" : "",
    group: isResource ? info.apiGroup : "",
    version: isResource ? info.apiVersion : "",
    resource: isResource ? info.resource : "",
    subresource: isResource ? info.subresource : isServed ? info.path : "",
    scope: isResource ? getScope(info) : "",
    component: isResource ? "apiserver" : "",
  };
}

function getScope({ name, verb, namespace }: RequestInfo): string {
  if (name !== "" || verb === "create") return "resource";
  return namespace === "" ? "cluster" : "namespace";
}

/** Adds the counter of rejected requests; the returned function must be called for each of them. */
export function countRejections(registry: MetricsRegistry): NonNullable<FlowControlOptions["onRejected"]> {
  const rejected = new Counter({
    name: "apiserver_flowcontrol_rejected_requests_total",
    help: "Requests that were rejected with 429, by priority level, flow schema and reason.",
    labelNames: ["priority_level", "flow_schema", "reason"],
    registers: [registry],
  });
  // The name of a flow begins with its schema. The rest is the user or namespace, which is not a label.
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
        for (const [level, figures] of Object.entries(flowControl.figures())) {
          this.set({ priority_level: level }, figures[figure]);
        }
      },
    });
  gauge("tlsboot_flowcontrol_executing_requests", "Requests that are being served, by priority level.", "executing");
  gauge("tlsboot_flowcontrol_inqueue_requests", "Requests that wait for a seat, by priority level.", "waiting");
  gauge("apiserver_flowcontrol_nominal_limit_seats", "Seats of a priority level.", "seats");
}

/** Counts requests while they are served. */
export interface Inflight {
  /** Counts a request that has a seat until the returned function is called. A watch counts only until it has begun. */
  begin(verb: string): () => void;
}

const SECOND_MS = 1_000;
const READ_ONLY_VERBS: ReadonlySet<string> = new Set(["get", "list", "watch"]);

/**
 * Adds `apiserver_current_inflight_requests` to a registry (`apiserver/pkg/server/filters/maxinflight.go`): the maximum
 * of the last whole second. kube-apiserver updates it with a timer. Here requests and scrapes update it, so that no
 * timer runs while the server is idle.
 */
export function gaugeInflight(registry: MetricsRegistry, { elapsedMs }: Pick<Clock, "elapsedMs">): Inflight {
  const second = (): number => Math.floor(elapsedMs() / SECOND_MS);
  const kinds = { readOnly: new HighWater(second()), mutating: new HighWater(second()) };
  new Gauge({
    name: "apiserver_current_inflight_requests",
    help: "The most requests that were served at once in the last second, readOnly or mutating.",
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
    this.#advanceTo(second);
    this.#now += by;
    this.#most = Math.max(this.#most, this.#now);
  }

  getLastSecond(second: number): number {
    this.#advanceTo(second);
    return this.#mostBefore;
  }

  /** Advances to a second. The maximum of a second without changes is the number at its start. */
  #advanceTo(second: number): void {
    if (second === this.#second) return;
    this.#mostBefore = second === this.#second + 1 ? this.#most : this.#now;
    this.#most = this.#now;
    this.#second = second;
  }
}
