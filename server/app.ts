/**
 * The HTTP interface of the server. Every request passes the same steps: observe → deadline → authenticate → impersonate
 * → take a seat → authorize → dispatch. Requests of in-process clients pass them too, only without TLS.
 */
import { type Context, Hono, type Next } from "hono";
import { goQuote } from "../core/lib/quote.ts";
import { internalError, pathNotFound, StatusError, statusFromError, unauthorized } from "../core/kube/status.ts";
import { ANONYMOUS_USER, UNAUTHENTICATED_GROUP, type UserInfo } from "../core/kube/user.ts";
import type { Authenticator, PeerCertificate } from "./authn/authentication.ts";
import { createReauthentication, type OpenStream } from "./authn/reauthentication.ts";
import type { Authorizer } from "./authz/authorizer.ts";
import { deniedError, escapeMarkup, withNosniff } from "./authz/denied_error.ts";
import { createImpersonation, findImpersonationHeaders } from "./authz/impersonation.ts";
import { type AuditOptions, beginAudit } from "./http/audit.ts";
import { type FlowControl, OverloadError } from "./flowcontrol/flow_control.ts";
import { findPlace } from "./flowcontrol/priority_levels.ts";
import { refuseWhileDraining, respondBytes, respondError, respondOverloaded, respondText } from "./http/respond.ts";
import { type Answer, isStream } from "./http/answer.ts";
import { completesWithin, createCommonDeadline, requestedTimeout, respondTimeout } from "./http/deadline.ts";
import { createDiscovery, listDiscoveredGroups, listIndexPaths } from "./http/discovery.ts";
import {
  type Exchange,
  findHeader,
  findRepeatedHeaders,
  findSourceIps,
  type IncomingRequest,
  Warnings,
} from "./http/exchange.ts";
import { createHealth, type HealthCheck } from "./http/health.ts";
import { MAX_TARGET_LENGTH } from "./http/limits.ts";
import { type Metrics, respondMetrics } from "./metrics/api_requests.ts";
import { createOpenapi } from "./http/openapi.ts";
import { parseRequestInfo, parseTarget, type RequestTarget, toAttributes } from "./http/request_info.ts";
import { createServedCheck } from "./http/served_paths.ts";
import { respondSnapshot, SNAPSHOT_PATH } from "./http/snapshot.ts";
import { SharedEncodings } from "./http/watch_events.ts";
import { createResourceHandler, type Served } from "./http/resource_handler.ts";
import { assertRoute } from "./http/routes.ts";
import type { Inflight } from "./metrics/flow_control.ts";
import { createUid, type RegistryDeps } from "./registry/registry.ts";

/** Dependencies of the app. */
export interface AppDeps extends RegistryDeps {
  readonly served: Served;
  readonly authenticate: Authenticator;
  readonly authorizer: Authorizer;
  readonly flowControl: FlowControl;
  readonly audit: AuditOptions | undefined;
  readonly metrics: Metrics;
  readonly inflight: Inflight;
  readonly checks: readonly HealthCheck[];
  /** The object at `/version`. */
  readonly version: Readonly<Record<string, string>>;
  /** Returns the `host:port` at which clients reach the server, for the older discovery. */
  readonly serverAddress: () => string;
  /** Aborts when the server stops, which ends the watches. */
  readonly stopping: AbortSignal;
}

/** Receives what the app learns about a request that matters to its connection. */
export interface RequestConnection {
  /** The request is authenticated as this user. */
  authenticated(user: string): void;
  /** The answer is a stream that lasts as long as the client wants. */
  markStreaming(): void;
}

/** The client of a request. */
export interface Caller {
  readonly peer: PeerCertificate | undefined;
  readonly remoteAddress: string;
  /** The unparsed headers, as a flat list of names and values in which repeated headers stay separate. */
  readonly rawHeaders: readonly string[];
  /** The unparsed path and query, with dot segments and escapes; the request's own URL when absent. */
  readonly target?: string;
  /** The user of an in-process client, which needs no authentication. */
  readonly user?: UserInfo;
  /** Aborts when the client disconnects; the request's own signal when absent. */
  readonly signal?: AbortSignal;
  /** Whether the request came over HTTP/2, where an unauthenticated client gets one answer per connection. */
  readonly isHttp2?: boolean;
  /** The connection of the request; absent for in-process clients. */
  readonly held?: RequestConnection;
}

interface Variables {
  exchange: Exchange;
  /** The credentials and the user of the request; undefined for in-process clients. */
  entry: Pick<OpenStream, "credentials" | "user"> | undefined;
  receivedAt: Date;
  /** Returns a controller that is aborted when the request times out. */
  expiry: () => AbortController;
  /** Whether the connection is closed after this answer. */
  isLast: boolean | undefined;
}

/** The target and the answer of one request. Hono itself gets a response that says that the answer was already sent. */
interface Slot {
  readonly read: RequestTarget;
  answer: Answer | undefined;
  /** Whether the request timed out, so that a later answer is ignored. */
  isTimedOut: boolean;
}

type Env = { Bindings: Caller & Slot; Variables: Variables };
type AppContext = Context<Env>;

const NO_USER: UserInfo = { username: "", uid: "", groups: [], extra: {} };

/** Answers the request of a client. A `Request` may be passed, and `toResponse` converts the answer to a `Response`. */
export type App = (request: IncomingRequest, caller: Caller) => Promise<Answer>;

/** Creates the app, with the whole pipeline. */
export function createApp(deps: AppDeps): App {
  const hono = new Hono<Env>({ strict: true });
  hono.use(observe(deps));
  hono.use(deadline(deps));
  hono.use(authenticate(deps));
  hono.use(impersonate(deps));
  hono.use(takeSeat(deps));
  hono.use(authorize(deps));
  hono.all("*", dispatch(deps));
  hono.notFound(async (context) =>
    reply(context, await respondText(context.get("exchange"), 404, "404 page not found\n"))
  );
  hono.onError(async (error, context) => {
    const { status } = statusFromError(error);
    if (error instanceof OverloadError) return reply(context, await respondOverloaded(context.get("exchange")));
    if (status.code === 500) {
      const { auditId } = context.get("exchange");
      deps.logger.error("request failed", { path: context.req.path, auditId, error });
    }
    return reply(context, await respondError(context.get("exchange"), error));
  });
  return async (request, caller) => {
    const target = caller.target ?? request.url;
    if (target.length > MAX_TARGET_LENGTH) return createPlainText(414, "414 URI Too Long");
    const read = parseTarget(target);
    if (read.path === undefined) return createPlainText(400, "400 Bad Request");
    const env: Env["Bindings"] = { ...caller, read, answer: undefined, isTimedOut: false };
    // Hono reads only method and URL, and passes the request on.
    await hono.fetch(request as Request, env);
    const { answer } = env;
    if (answer === undefined) throw new Error("a request was not answered");
    return request.method === "HEAD" ? withoutBody(answer) : answer;
  };
}

/** Creates the answer to a request with a malformed or too long target. */
function createPlainText(status: number, text: string): Answer {
  return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body: new TextEncoder().encode(text) };
}

/** The response for Hono: `RESPONSE_ALREADY_SENT` of its Node adaptor. */
const ALREADY_SENT = new Response(null, { headers: { "x-hono-already-sent": "true" } });

function reply(context: AppContext, answer: Answer): Response {
  if (!context.env.isTimedOut) context.env.answer = answer;
  return ALREADY_SENT;
}

function withoutBody(answer: Answer): Answer {
  if (isStream(answer.body)) answer.body.cancel();
  return { ...answer, body: undefined };
}

/** Parses the request and gives it an id, and counts, times and audits the answer. */
function observe(deps: AppDeps) {
  const isServed = createServedCheck(deps.served);
  const reauthenticate = createReauthentication(deps.authenticate, deps.clock, deps.stopping);
  return async (context: AppContext, next: Next): Promise<void> => {
    const { raw: request } = context.req;
    const { rawHeaders, user, signal, read, held } = context.env;
    const { requestUri, path = "", query } = read;
    const receivedAt = deps.clock.now();
    const startedMs = deps.clock.elapsedMs();
    const info = parseRequestInfo(request.method, path, query);
    const repeated = findRepeatedHeaders(rawHeaders);
    const expiry = lazy(() => new AbortController());
    let streamed: Promise<void> | undefined;
    const exchange: Exchange = {
      request,
      query,
      info,
      user: NO_USER,
      auditId: (repeated?.get("audit-id") ?? request.headers.get("audit-id")) || createUid(deps.random),
      warnings: new Warnings(),
      onStream: (ended) => {
        streamed = ended;
        held?.markStreaming();
        const entry = context.get("entry");
        if (entry !== undefined) reauthenticate({ ...entry, ended, end: () => endStream(deps, context) });
      },
      signal: lazy(() => AbortSignal.any([signal ?? request.signal, deps.stopping, expiry().signal])),
      isTimedOut: () => context.env.isTimedOut,
      ...(repeated === undefined ? {} : { repeated }),
    };
    context.set("exchange", exchange);
    context.set("receivedAt", receivedAt);
    context.set("expiry", expiry);
    const isRefused = user === undefined && deps.stopping.aborted ? refuseWhileDraining(exchange) : undefined;
    if (info.isIncomplete) context.res = reply(context, await respondIncomplete(exchange, requestUri));
    else if (isRefused !== undefined) context.res = reply(context, await isRefused);
    else await next();
    if (context.get("isLast") === true) context.env.answer = withConnectionClose(context.env.answer);
    const code = context.env.answer?.status ?? 500;
    const observed = { info, dryRun: query.has("dryRun"), isServed: isServed(info) };
    deps.metrics.observe(observed, code, (deps.clock.elapsedMs() - startedMs) / 1000);
    streamed?.then(deps.metrics.beginLongRunning(observed));
    context.get("exchange").audit?.answered(code, streamed);
  };
}

/** Ends a stream whose user is no longer authenticated; a new request gets 401. */
function endStream(deps: AppDeps, context: AppContext): void {
  const { auditId, info } = context.get("exchange");
  deps.logger.info("stream ended: its user is no longer authenticated", { path: info.path, auditId });
  context.get("expiry")().abort(new Error("the user is no longer authenticated"));
}

function withConnectionClose(answer: Answer | undefined): Answer | undefined {
  return answer === undefined ? undefined : { ...answer, headers: { ...answer.headers, connection: "close" } };
}

/** Creates a value at the first call, and returns it at every call. */
function lazy<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/** Limits the time of a request to its own timeout or the common one. In-process clients have no limit. */
function deadline(deps: AppDeps) {
  const common = createCommonDeadline(deps.clock, deps.stopping);
  return async (context: AppContext, next: Next): Promise<void> => {
    const exchange = context.get("exchange");
    const milliseconds = requestedTimeout(exchange);
    if (milliseconds === undefined) {
      if (context.env.user !== undefined || exchange.info.verb === "watch") return await next();
      if (!await common.isDone(next)) await replyTimeout(context);
      return;
    }
    // A timeout below a millisecond ends before the next step begins.
    if (!await completesWithin(deps.clock, Math.floor(milliseconds), next)) await replyTimeout(context);
  };
}

/** Answers a request that timed out. A later answer is ignored, and the wait for it ends, which frees its seat. */
async function replyTimeout(context: AppContext): Promise<void> {
  context.res = reply(context, await respondTimeout(context.get("exchange")));
  context.env.isTimedOut = true;
  context.get("expiry")().abort(new Error("the request timed out"));
}

/** kube-apiserver fails for a path with a verb but no resource before every other step. */
async function respondIncomplete(exchange: Exchange, requestUri: string): Promise<Answer> {
  const why = `failed to create RequestInfo: unable to determine kind and namespace from url, ${requestUri}`;
  const text = `Internal Server Error: ${goQuote(requestUri)}: ${why}\n`;
  const answer = await respondText(exchange, 500, escapeMarkup(text));
  const { "cache-control": _control, ...headers } = answer.headers;
  return { ...answer, headers };
}

function authenticate(deps: AppDeps) {
  return async (context: AppContext, next: Next): Promise<void> => {
    // Unauthenticated clients could keep connections busy, so they get one answer per HTTP/2 connection.
    context.set("isLast", context.env.isHttp2 === true && context.env.user === undefined);
    const user = context.env.user ?? await authenticatedUser(deps, context);
    if (!isAnonymous(user)) {
      context.set("isLast", false);
      context.env.held?.authenticated(user.username);
    }
    const audited = withAudit(deps, context, user);
    context.set("exchange", { ...audited, user });
    if (audited.audit?.received() === false) throw internalError("failed to store audit event");
    await next();
  };
}

/** Begins the audit trail of a request, if the policy asks for one. */
function withAudit(deps: AppDeps, context: AppContext, user: UserInfo | undefined): Exchange {
  const exchange = context.get("exchange");
  if (deps.audit === undefined) return exchange;
  const audit = beginAudit(deps.audit, deps.metrics.audit, () => deps.clock.now(), {
    auditId: exchange.auditId,
    requestUri: context.env.read.requestUri,
    info: exchange.info,
    user,
    sourceIps: findSourceIps(exchange, context.env.remoteAddress),
    userAgent: findHeader(exchange, "user-agent") ?? "",
    receivedAt: context.get("receivedAt"),
  });
  return audit === undefined ? exchange : { ...exchange, audit };
}

function isAnonymous({ username, groups }: UserInfo): boolean {
  return username === ANONYMOUS_USER || groups.includes(UNAUTHENTICATED_GROUP);
}

async function authenticatedUser(deps: AppDeps, context: AppContext): Promise<UserInfo> {
  const exchange = context.get("exchange");
  const startedMs = deps.clock.elapsedMs();
  const credentials = {
    authorizationHeader: findHeader(exchange, "authorization"),
    peerCertificate: context.env.peer,
  };
  const result = await deps.authenticate(credentials).catch((error: unknown) => {
    deps.metrics.authenticated("error", "", (deps.clock.elapsedMs() - startedMs) / 1000);
    context.set("exchange", withAudit(deps, context, undefined));
    throw error;
  });
  for (const warning of result.warnings ?? []) exchange.warnings.add(warning);
  const took = (deps.clock.elapsedMs() - startedMs) / 1000;
  if (result.kind !== "unauthorized") {
    deps.metrics.authenticated("success", result.user.username, took);
    context.set("entry", { credentials, user: result.user });
    return result.user;
  }
  deps.metrics.authenticated(result.failures.length > 0 ? "error" : "failure", "", took);
  deps.logger.info("request refused: not authenticated", {
    path: exchange.info.path,
    auditId: exchange.auditId,
    failures: result.failures,
  });
  context.set("exchange", withAudit(deps, context, undefined));
  throw unauthorized();
}

function impersonate(deps: AppDeps) {
  const resolve = createImpersonation(deps.authorizer);
  return async (context: AppContext, next: Next): Promise<void> => {
    const exchange = context.get("exchange");
    const headers = findImpersonationHeaders(context.env.rawHeaders);
    if (headers.length > 0) {
      let constraint: string | undefined;
      const onConstraint = (found: string): void => void (constraint = found);
      const attributes = toAttributes(exchange.info);
      const user = await resolve(headers, exchange.user, attributes, onConstraint).catch((error: unknown) => {
        throw error instanceof StatusError ? withNosniff(error) : error;
      });
      exchange.audit?.impersonated(user, constraint);
      context.set("exchange", { ...exchange, user });
    }
    await next();
  };
}

/** Waits until the request may be served. In-process clients are few and never wait. */
function takeSeat(deps: AppDeps) {
  return async (context: AppContext, next: Next): Promise<void> => {
    const exchange = context.get("exchange");
    const place = context.env.user === undefined ? findPlace(exchange.user, exchange.info) : undefined;
    const seat = place === undefined ? undefined : await deps.flowControl.acquireSeat(place, exchange.signal);
    const served = deps.inflight.begin(exchange.info.verb);
    try {
      if (seat !== undefined) context.set("exchange", { ...exchange, seat });
      await next();
    } finally {
      served();
      seat?.release();
    }
  };
}

/** The names of decisions in metrics. */
const RESULTS = { allow: "allowed", deny: "denied", noOpinion: "no-opinion" } as const;

function authorize(deps: AppDeps) {
  return async (context: AppContext, next: Next): Promise<void> => {
    const { info, user, audit } = context.get("exchange");
    const attributes = toAttributes(info);
    const startedMs = deps.clock.elapsedMs();
    const decision = await deps.authorizer.authorize(user, attributes);
    deps.metrics.authorized(RESULTS[decision.kind], (deps.clock.elapsedMs() - startedMs) / 1000);
    audit?.authorized(decision);
    if (decision.kind !== "allow") throw withNosniff(deniedError(user, attributes, decision.reason));
    await next();
  };
}

function dispatch(deps: AppDeps) {
  const groups = listDiscoveredGroups(deps.served);
  const handleResource = createResourceHandler({ ...deps, encodings: new SharedEncodings() }, deps.served);
  const discovery = createDiscovery(groups, deps.serverAddress);
  const health = createHealth(deps.checks);
  const openapi = createOpenapi(
    groups.flatMap(({ resources }) => resources),
    deps.version["gitVersion"] ?? "",
    deps.clock,
  );
  const version = new TextEncoder().encode(JSON.stringify(deps.version, undefined, 2));
  const index = new TextEncoder().encode(JSON.stringify({ paths: listIndexPaths(groups, deps.checks) }, undefined, 2));
  return async (context: AppContext): Promise<Response> => reply(context, await route(context.get("exchange")));

  async function route(exchange: Exchange): Promise<Answer> {
    const { info } = exchange;
    if (info.isResourceRequest) return await handleResource(exchange);
    if (info.path === "/version" || info.path.startsWith("/version/")) {
      if (!/^\/version\/?$/.test(info.path)) throw pathNotFound();
      assertRoute(exchange, ["GET"], ["application/json"]);
      return respondBytes(exchange, 200, "application/json", version);
    }
    // The paths below accept any method, like kube-apiserver's.
    if (info.path === "/" || info.path === "/index.html") {
      return respondBytes(exchange, 200, "application/json", index);
    }
    if (info.path === SNAPSHOT_PATH) return await respondSnapshot(exchange, deps);
    if (info.path === "/metrics") return await respondMetrics(exchange, deps.metrics);
    const answer = health(exchange) ?? discovery(exchange) ?? openapi(exchange);
    if (answer !== undefined) return await answer;
    return respondText(exchange, 404, "404 page not found\n");
  }
}
