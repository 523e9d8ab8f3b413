/**
 * The HTTP interface of the server. Every request passes the same steps: observe → deadline → authenticate → impersonate
 * → take a seat → authorize → route. Requests of in-process clients pass them too, only without TLS.
 */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { Hono, type MiddlewareHandler } from "hono";
import { goQuote } from "../core/lib/quote.ts";
import { internalError, pathNotFound, StatusError, statusFromError, unauthorized } from "../core/kube/status/status.ts";
import { ANONYMOUS_USER, UNAUTHENTICATED_GROUP, type UserInfo } from "../core/kube/user.ts";
import { type Authenticator, REVOKED_WITHIN_MS } from "./authn/authentication.ts";
import { ANONYMOUS } from "./authn/authenticator.ts";
import { createReauthentication } from "./authn/reauthentication.ts";
import { type Authorizer, createDeniedError, escapeMarkup, withNosniff } from "./authz/authorizer.ts";
import { createImpersonation, findImpersonationHeaders } from "./authz/impersonation.ts";
import { type FlowControl, OverloadError } from "./flowcontrol/flow_control.ts";
import { findPlace } from "./flowcontrol/priority_levels.ts";
import { type Answer, isStream } from "./http/answer.ts";
import { type AuditOptions, beginAudit } from "./http/audit.ts";
import { createCrlRoute, isCrlRequest, type PublishedCrls } from "./http/crl.ts";
import { completesWithin, createCommonDeadline, parseRequestedTimeout, respondTimeout } from "./http/deadline.ts";
import { createDiscoveryRoutes, listDiscoveredGroups } from "./http/discovery.ts";
import {
  type Caller,
  Exchange,
  findHeader,
  findSourceIps,
  getClientAddress,
  type IncomingRequest,
} from "./http/exchange.ts";
import { createHealthRoutes, type HealthCheck } from "./http/health.ts";
import { MAX_TARGET_LENGTH } from "./http/limits.ts";
import { createOpenapiRoutes } from "./http/openapi.ts";
import { createOpenidRoutes, type DiscoverableIssuer } from "./http/openid.ts";
import { parseTarget, toAttributes } from "./http/request_info.ts";
import { createApiRoutes, createServedCheck, respondUnknown, type Served } from "./http/resource_handler.ts";
import {
  METRICS_PATH,
  refuseWhileDraining,
  respondBytes,
  respondError,
  respondOverloaded,
  respondText,
} from "./http/respond.ts";
import { assertRoute, type ServedRoute } from "./http/routes.ts";
import { respondSnapshot, SNAPSHOT_PATH } from "./http/snapshot.ts";
import { SharedEncodings } from "./http/watch_events.ts";
import type { Decision } from "../core/rbac/attributes.ts";
import type { NodeRecovery } from "./node_recovery.ts";
import { type Metrics, respondMetrics } from "./metrics/api_requests.ts";
import type { Inflight } from "./metrics/flow_control.ts";
import { createUid, type RegistryDeps } from "./registry/registry.ts";
import type { Revocations } from "./revocation/revocations.ts";

/** The dependencies of the app. */
export interface AppDeps extends RegistryDeps {
  readonly served: Served;
  readonly authenticate: Authenticator;
  readonly authorizer: Authorizer;
  /** Absent when nodes with an expired certificate cannot recover. */
  readonly nodeRecovery?: Pick<NodeRecovery, "isAllowed"> | undefined;
  readonly revocations: Pick<Revocations, "onChange" | "findRefusal">;
  /** Registers a listener that is called when other client CAs are trusted. */
  readonly onClientCasChange?: ((listener: () => void) => void) | undefined;
  readonly flowControl: FlowControl;
  readonly audit: AuditOptions | undefined;
  readonly metrics: Metrics;
  readonly inflight: Inflight;
  readonly checks: readonly HealthCheck[];
  /** The object that is served at `/version`. */
  readonly version: Readonly<Record<string, string>>;
  /** Returns the `host:port` at which clients reach the server, for the older discovery. */
  readonly serverAddress: () => string;
  /** The revocation lists that are served without authentication. */
  readonly crls: PublishedCrls;
  /** The issuer of service account tokens; absent when it cannot be discovered. */
  readonly openid?: DiscoverableIssuer | undefined;
  /** Aborts when the server stops, which ends the watches. */
  readonly stopping: AbortSignal;
}

/** Answers the request of a client. A `Request` may be passed, and `toResponse` converts the answer to a `Response`. */
export type App = (request: IncomingRequest, caller: Caller) => Promise<Answer>;

type Env = { Bindings: { readonly exchange: Exchange } };
type Step = MiddlewareHandler<Env>;

/** Creates the app, with the whole pipeline. */
export function createApp(deps: AppDeps): App {
  const routes = createRoutes(deps);
  // Hono would decode and normalize the path of the URL. Go does it differently, so the parsed path is routed.
  const hono = new Hono<Env>({ getPath: (_request, options) => toRoutedPath(options!.env!.exchange.info.path) });
  hono.use(
    observe(deps, routes),
    deadline(deps),
    authenticate(deps),
    impersonate(deps),
    takeSeat(deps),
    authorize(deps),
  );
  for (const { path, answer } of routes) {
    hono.all(path, async ({ env: { exchange } }) => reply(exchange, await answer(exchange)));
  }
  hono.notFound(async ({ env: { exchange } }) => reply(exchange, await respondUnknown(exchange)));
  hono.onError(async (error, { env: { exchange } }) => {
    if (error instanceof OverloadError) return reply(exchange, await respondOverloaded(exchange));
    if (statusFromError(error).status.code === 500) {
      const { auditId, info: { path } } = exchange;
      deps.logger.error("request failed", { path, auditId, error });
    }
    return reply(exchange, await respondError(exchange, error));
  });
  return async (request, caller) => {
    const text = caller.target ?? request.url;
    if (text.length > MAX_TARGET_LENGTH) return createPlainText(414, "414 URI Too Long");
    const target = parseTarget(text);
    if (target.path === undefined) return createPlainText(400, "400 Bad Request");
    const exchange = new Exchange({
      request,
      caller,
      target,
      clock: deps.clock,
      createId: () => createUid(deps.random),
      stopping: deps.stopping,
    });
    // Hono reads only the method, and passes the request on.
    await hono.fetch(request as Request, { exchange });
    const { answer } = exchange;
    if (answer === undefined) throw new Error("a request was not answered");
    return request.method === "HEAD" ? withoutBody(answer) : answer;
  };
}

/** The routes by path. Their order matters for paths that several of them match, and each handler accepts any method. */
function createRoutes(deps: AppDeps): readonly ServedRoute[] {
  const groups = listDiscoveredGroups(deps.served);
  const kinds = groups.flatMap(({ resources }) => resources);
  const version = encodeIndented(deps.version);
  const respondVersion = (exchange: Exchange): Promise<Answer> => {
    assertRoute(exchange, ["GET"], ["application/json"]);
    return respondBytes(exchange, 200, "application/json", version);
  };
  const routes: readonly ServedRoute[] = [
    ...createHealthRoutes(deps.checks),
    { path: METRICS_PATH, isListed: true, isLabel: true, answer: (exchange) => respondMetrics(exchange, deps.metrics) },
    { path: "/version", isListed: true, isLabel: true, answer: respondVersion },
    { path: "/version/", answer: respondVersion },
    { path: "/version/*", answer: () => Promise.reject(pathNotFound()) },
    createCrlRoute(deps.crls),
    { path: SNAPSHOT_PATH, isLabel: true, answer: (exchange) => respondSnapshot(exchange, deps) },
    ...(deps.openid === undefined ? [] : createOpenidRoutes(deps.openid)),
    ...createOpenapiRoutes(kinds, deps.version["gitVersion"] ?? "", deps.clock, deps.openid !== undefined),
    ...createDiscoveryRoutes(groups, deps.serverAddress),
    ...createApiRoutes({ ...deps, encodings: new SharedEncodings() }, deps.served),
  ];
  const listed = routes.filter(({ isListed }) => isListed === true).map(({ path }) => path).sort();
  const index = encodeIndented({ paths: listed });
  const respondIndex = (exchange: Exchange) => respondBytes(exchange, 200, "application/json", index);
  return [...routes, { path: "/", answer: respondIndex }, { path: "/index.html", answer: respondIndex }];
}

function encodeIndented(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value, undefined, 2));
}

/** Hono's patterns match no line breaks, which a decoded path may have; no route has a space. */
function toRoutedPath(path: string): string {
  return path.replace(/[\n\r\u2028\u2029]/g, " ");
}

/** Creates the answer to a request with a malformed or too long target. */
function createPlainText(status: number, text: string): Answer {
  return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body: new TextEncoder().encode(text) };
}

/** Returns a response by which Hono learns that the answer is sent elsewhere: the listener and the loopback send it. */
function reply(exchange: Exchange, answer: Answer): Response {
  exchange.complete(answer);
  return RESPONSE_ALREADY_SENT;
}

function withoutBody(answer: Answer): Answer {
  if (isStream(answer.body)) answer.body.cancel();
  return { ...answer, body: undefined };
}

/** Counts, times and audits the answer, whatever happens later. */
function observe(deps: AppDeps, routes: readonly ServedRoute[]): Step {
  const isServedResource = createServedCheck(deps.served);
  const labels = new Set(routes.filter(({ isLabel }) => isLabel === true).map(({ path }) => path));
  const { authenticate, clock, stopping: signal, revocations, onClientCasChange } = deps;
  const reauthenticate = createReauthentication({ authenticate, clock, signal, revocations, onClientCasChange });
  return async ({ env: { exchange } }, next) => {
    const startedMs = deps.clock.elapsedMs();
    const { info, query, caller } = exchange;
    const isRefused = caller.user === undefined && deps.stopping.aborted ? refuseWhileDraining(exchange) : undefined;
    if (info.isIncomplete) exchange.complete(await respondIncomplete(exchange));
    else if (isRefused !== undefined) exchange.complete(await isRefused);
    else await next();
    if (exchange.isLast) exchange.closeConnection();
    const code = exchange.answer?.status ?? 500;
    const isServed = info.isResourceRequest ? isServedResource(info) : labels.has(info.path);
    const observed = { info, dryRun: query.has("dryRun"), isServed };
    deps.metrics.observe(observed, code, (deps.clock.elapsedMs() - startedMs) / 1000);
    const { streamEnded: ended, authenticated } = exchange;
    if (ended !== undefined) {
      void ended.then(deps.metrics.beginLongRunning(observed));
      if (authenticated !== undefined) {
        reauthenticate({
          ...authenticated,
          ...(exchange.user === authenticated.user ? {} : { impersonated: exchange.user }),
          receivedMs: startedMs,
          ended,
          end: () => endStream(deps, exchange),
        });
      }
    }
    exchange.audit?.answered(code, ended);
    return RESPONSE_ALREADY_SENT;
  };
}

/** Ends a stream whose user is no longer authenticated; a new request gets 401. */
function endStream({ logger }: AppDeps, exchange: Exchange): void {
  const { auditId, info: { path } } = exchange;
  logger.info("stream ended: its user is no longer authenticated", { path, auditId });
  exchange.abort(new Error("the user is no longer authenticated"));
}

/** Limits the time of a request to its own timeout or the common one. In-process clients have no limit. */
function deadline(deps: AppDeps): Step {
  const common = createCommonDeadline(deps.clock, deps.stopping);
  return async ({ env: { exchange } }, next) => {
    const milliseconds = parseRequestedTimeout(exchange);
    if (milliseconds === undefined && (exchange.caller.user !== undefined || exchange.info.verb === "watch")) {
      return await next();
    }
    const isDone = milliseconds === undefined
      ? await common.isDone(next)
      // A timeout below a millisecond ends before the next step begins.
      : await completesWithin(deps.clock, Math.floor(milliseconds), next);
    if (!isDone) exchange.timeOut(await respondTimeout(exchange));
  };
}

/** kube-apiserver fails for a path with a verb but no resource before every other step. */
async function respondIncomplete(exchange: Exchange): Promise<Answer> {
  const { requestUri } = exchange;
  const why = `failed to create RequestInfo: unable to determine kind and namespace from url, ${requestUri}`;
  const text = `Internal Server Error: ${goQuote(requestUri)}: ${why}\n`;
  const answer = await respondText(exchange, 500, escapeMarkup(text));
  const { "cache-control": _control, ...headers } = answer.headers;
  return { ...answer, headers };
}

function authenticate(deps: AppDeps): Step {
  return async ({ env: { exchange } }, next) => {
    const { caller } = exchange;
    // Unauthenticated clients could keep connections busy, so they get one answer per HTTP/2 connection.
    exchange.isLast = caller.isHttp2 === true && caller.user === undefined;
    exchange.isPublic = isCrlRequest(exchange, deps.crls);
    const user = caller.user ?? (exchange.isPublic ? ANONYMOUS : await authenticateCaller(deps, exchange));
    if (!isAnonymous(user)) {
      exchange.isLast = false;
      caller.connection?.authenticated(user.username);
    }
    exchange.user = user;
    exchange.audit = createAuditTrail(deps, exchange, user);
    if (exchange.credentialAnnotations !== undefined) exchange.audit?.annotate(exchange.credentialAnnotations);
    if (exchange.audit?.received() === false) throw internalError("failed to store audit event");
    await next();
  };
}

/** Begins the audit trail of a request, if the policy requires one. */
function createAuditTrail(deps: AppDeps, exchange: Exchange, user: UserInfo | undefined): Exchange["audit"] {
  if (deps.audit === undefined) return undefined;
  return beginAudit(deps.audit, deps.metrics.audit, () => deps.clock.now(), {
    auditId: exchange.auditId,
    requestUri: exchange.requestUri,
    info: exchange.info,
    user,
    sourceIps: findSourceIps(exchange),
    userAgent: findHeader(exchange, "user-agent") ?? "",
    receivedAt: exchange.receivedAt,
  });
}

function isAnonymous({ username, groups }: UserInfo): boolean {
  return username === ANONYMOUS_USER || groups.includes(UNAUTHENTICATED_GROUP);
}

/** Authenticates the client of a request. Throws StatusError 401. */
async function authenticateCaller(deps: AppDeps, exchange: Exchange): Promise<UserInfo> {
  const startedMs = deps.clock.elapsedMs();
  // While the watch of a shared store is broken, this server does not know what others have revoked. Answers without a
  // resource do not need the store, and health checks must not wait for it.
  if (exchange.info.isResourceRequest) await deps.storage.catchUp(REVOKED_WITHIN_MS);
  const seconds = (): number => (deps.clock.elapsedMs() - startedMs) / 1000;
  const credentials = {
    authorizationHeader: findHeader(exchange, "authorization"),
    peerCertificate: exchange.caller.peer,
    remoteAddress: getClientAddress(exchange.caller),
  };
  const result = await deps.authenticate(credentials).catch((error: unknown) => {
    deps.metrics.authenticated("error", "", seconds());
    exchange.audit = createAuditTrail(deps, exchange, undefined);
    throw error;
  });
  for (const warning of result.warnings ?? []) exchange.warnings.add(warning);
  if (result.kind !== "unauthorized") {
    deps.metrics.authenticated("success", result.user.username, seconds());
    exchange.authenticated = { credentials, user: result.user };
    if (result.kind === "user") {
      exchange.isRecovering = result.isRecovering === true;
      exchange.credentialAnnotations = result.auditAnnotations;
    }
    return result.user;
  }
  const { auditId, info: { path } } = exchange;
  deps.metrics.authenticated(result.failures.length > 0 ? "error" : "failure", "", seconds());
  deps.logger.info("request refused: not authenticated", { path, auditId, failures: result.failures });
  exchange.audit = createAuditTrail(deps, exchange, undefined);
  if (result.refusal !== undefined) exchange.audit?.refused(result.refusal);
  throw unauthorized();
}

function impersonate(deps: AppDeps): Step {
  const resolve = createImpersonation(deps.authorizer);
  return async ({ env: { exchange } }, next) => {
    const headers = findImpersonationHeaders(exchange.caller.rawHeaders);
    if (headers.length > 0 && !exchange.isPublic) {
      let constraint: string | undefined;
      const onConstraint = (found: string): void => void (constraint = found);
      const attributes = toAttributes(exchange.info);
      exchange.user = await resolve(headers, exchange.user, attributes, onConstraint).catch((error: unknown) => {
        throw error instanceof StatusError ? withNosniff(error) : error;
      });
      exchange.audit?.impersonated(exchange.user, constraint);
      refuseRevoked(deps, exchange);
    }
    await next();
  };
}

/** Throws StatusError 403 for a request as a user who is revoked, whatever the impersonating user may do. */
function refuseRevoked({ revocations }: AppDeps, { user, authenticated, caller, info, audit }: Exchange): void {
  if (user === authenticated?.user) return;
  const revoked = revocations.findRefusal(user, undefined, { remoteAddress: getClientAddress(caller) });
  if (revoked === undefined) return;
  const reason = `the impersonated user cannot be used: ${revoked}`;
  audit?.refused(reason);
  throw withNosniff(createDeniedError(user, toAttributes(info), reason));
}

/** Waits until the request may be served. In-process clients are few and never wait. */
function takeSeat(deps: AppDeps): Step {
  return async ({ env: { exchange } }, next) => {
    const { caller, user, info, signal } = exchange;
    const place = caller.user === undefined ? findPlace(user, info) : undefined;
    exchange.seat = place === undefined ? undefined : await deps.flowControl.acquireSeat(place, signal);
    const served = deps.inflight.begin(info.verb);
    try {
      await next();
    } finally {
      served();
      exchange.seat?.release();
    }
  };
}

/** The names of decisions in metrics. */
const RESULTS = { allow: "allowed", deny: "denied", noOpinion: "no-opinion" } as const;

function authorize(deps: AppDeps): Step {
  return async ({ env: { exchange } }, next) => {
    const { info, user, audit } = exchange;
    if (exchange.isPublic) return await next();
    const attributes = toAttributes(info);
    const startedMs = deps.clock.elapsedMs();
    const decision = exchange.isRecovering && !await isRecoveryRequest(deps, exchange)
      ? NO_RECOVERY_REQUEST
      : await deps.authorizer.authorize(user, attributes);
    deps.metrics.authorized(RESULTS[decision.kind], (deps.clock.elapsedMs() - startedMs) / 1000);
    audit?.authorized(decision);
    if (decision.kind !== "allow") throw withNosniff(createDeniedError(user, attributes, decision.reason));
    await next();
  };
}

const NO_RECOVERY_REQUEST: Decision = {
  kind: "noOpinion",
  reason: "a node whose certificate has expired may only create a certificate signing request for itself and read it",
};

/** Reports whether a recovering node makes one of the requests that it may make, as itself. */
async function isRecoveryRequest({ nodeRecovery }: AppDeps, exchange: Exchange): Promise<boolean> {
  const { user, authenticated, info } = exchange;
  return user === authenticated?.user && await nodeRecovery?.isAllowed(user, toAttributes(info)) === true;
}
