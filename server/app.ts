/**
 * The HTTP interface of the server. Every request goes through the steps of `serve` in `createApp`, in that order.
 * Requests of in-process clients only skip TLS.
 */
import { METHOD_NAME_ALL, type Router } from "hono/router";
import { RegExpRouter } from "hono/router/reg-exp-router";
import { SmartRouter } from "hono/router/smart-router";
import { TrieRouter } from "hono/router/trie-router";
import { goQuote } from "../core/lib/go_text.ts";
import { internalError, pathNotFound, StatusError, statusFromError, unauthorized } from "../core/kube/status/status.ts";
import { ANONYMOUS_USER, UNAUTHENTICATED_GROUP, type UserInfo } from "../core/kube/user.ts";
import { type Authenticator, REVOKED_WITHIN_MS } from "./authn/authentication.ts";
import { ANONYMOUS } from "./authn/authenticator.ts";
import { createReauthentication } from "./authn/reauthentication.ts";
import { type Authorizer, createDeniedError, escapeMarkup, withNosniff } from "./authz/authorizer.ts";
import { createImpersonation, findImpersonationHeaders, type Impersonation } from "./authz/impersonation.ts";
import { findPlace, type FlowControl, OverloadError } from "./flowcontrol/flow_control.ts";
import { type Answer, isStream } from "./http/answer.ts";
import { type AuditOptions, beginAudit } from "./http/audit.ts";
import {
  createCrlRoute,
  createOpenidRoutes,
  type DiscoverableIssuer,
  isCrlRequest,
  type PublishedCrls,
} from "./http/published_documents.ts";
import { Deadlines, MAX_TIMEOUT_MS, parseRequestedTimeout, respondTimeout } from "./http/deadline.ts";
import { createDiscoveryRoutes, listDiscoveredGroups } from "./http/discovery.ts";
import { Exchange, findHeader, findSourceIps, getClientAddress, getUserAgent, type Incoming } from "./http/exchange.ts";
import { createHealthRoutes, type HealthCheck } from "./http/health.ts";
import { MAX_TARGET_LENGTH } from "./http/limits.ts";
import { createOpenapiRoutes } from "./http/openapi.ts";
import { parseTarget, type RequestInfo, toAttributes } from "./http/request_info.ts";
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
import type { NodeRecovery } from "./authn/node_recovery.ts";
import { type Inflight, type Metrics, respondMetrics } from "./metrics/api_requests.ts";
import { createUid, type RegistryDeps } from "./registry/registry.ts";
import type { Revocations } from "./revocation/revocations.ts";

/** The dependencies of the app. */
export interface AppDeps extends RegistryDeps {
  /** Returns the resources and reviews that are served now. It has few distinct values; the routes of each are cached. */
  readonly served: () => Served;
  readonly authenticate: Authenticator;
  readonly authorizer: Authorizer;
  /** Absent when nodes with an expired certificate cannot recover. */
  readonly nodeRecovery?: Pick<NodeRecovery, "isAllowed"> | undefined;
  readonly revocations: Pick<Revocations, "onChange" | "findRefusal">;
  /** Registers a listener that is called when the trusted client CAs change. */
  readonly onClientCasChange?: ((listener: () => void) => void) | undefined;
  readonly flowControl: FlowControl;
  readonly audit: AuditOptions | undefined;
  readonly metrics: Metrics;
  readonly inflight: Inflight;
  readonly checks: readonly HealthCheck[];
  /** The object that is served at `/version`. */
  readonly version: Readonly<Record<string, string>>;
  /** Returns the `host:port` at which clients reach the server, for legacy discovery. */
  readonly serverAddress: () => string;
  /** The revocation lists that are served without authentication. */
  readonly crls: PublishedCrls;
  /** The issuer of service account tokens; absent when it cannot be discovered. */
  readonly openid?: DiscoverableIssuer | undefined;
  /** Aborts when the server stops, which ends the watches. */
  readonly stopping: AbortSignal;
}

/** Answers the request of a client. `fromRequest` and `toResponse` convert from and to the types of the Fetch API. */
export type App = (incoming: Incoming) => Promise<Answer>;

/** Creates the app, which runs the whole pipeline. */
export function createApp(deps: AppDeps): App {
  const { clock, stopping } = deps;
  const routings = new Map<Served, Routing>();
  const findRouting = (): Routing => {
    const served = deps.served();
    const known = routings.get(served) ?? createRouting(deps, served);
    routings.set(served, known);
    return known;
  };
  findRouting();
  const impersonate = createImpersonation(deps.authorizer);
  const deadlines = new Deadlines(clock, stopping);
  const observe = createObserver(deps, (exchange) => findRouting().isServed(exchange.info));

  /** Runs the steps of a request. Each step may throw an error to refuse it. */
  async function serve(exchange: Exchange): Promise<Answer> {
    const { incoming: { rawHeaders, user, isHttp2 = false }, info } = exchange;
    let served: (() => void) | undefined;
    try {
      exchange.isPublic = isCrlRequest(exchange, deps.crls);
      // Unauthenticated clients could keep connections busy, so they get one answer per HTTP/2 connection.
      exchange.isLast = isHttp2;
      exchange.user = user ?? (exchange.isPublic ? ANONYMOUS : await authenticate(deps, exchange));
      beginAuditTrail(deps, exchange);
      const headers = findImpersonationHeaders(rawHeaders);
      if (headers.length > 0 && !exchange.isPublic) await becomeUser(deps, exchange, headers, impersonate);
      // In-process clients are few and never wait.
      const place = user === undefined
        ? findPlace(exchange.user, info, getClientAddress(exchange.incoming))
        : undefined;
      if (place !== undefined) exchange.seat = await deps.flowControl.acquireSeat(place, exchange.signal);
      served = deps.inflight.begin(info.verb);
      if (!exchange.isPublic) await authorize(deps, exchange);
      const [[found]] = findRouting().router.match(METHOD_NAME_ALL, toRoutedPath(info.path));
      return await (found === undefined ? respondUnknown(exchange) : found[0].answer(exchange));
    } finally {
      served?.();
      exchange.seat?.release();
    }
  }

  async function answer(exchange: Exchange): Promise<Answer> {
    const { incoming: { user }, info } = exchange;
    if (info.isIncomplete) return await respondIncomplete(exchange);
    const refused = user === undefined && stopping.aborted ? refuseWhileDraining(exchange) : undefined;
    if (refused !== undefined) return await refused;
    try {
      const isUnlimited = user !== undefined || info.verb === "watch";
      const milliseconds = parseRequestedTimeout(exchange) ?? (isUnlimited ? undefined : MAX_TIMEOUT_MS);
      return await (milliseconds === undefined
        ? serve(exchange)
        : deadlines.keep(milliseconds, () => serve(exchange), () => exchange.timeOut()));
    } catch (error) {
      return await respondFailure(deps, exchange, error);
    }
  }

  return async (incoming) => {
    if (incoming.target.length > MAX_TARGET_LENGTH) return createPlainText(414, "414 URI Too Long");
    const target = parseTarget(incoming.target);
    if (target.path === undefined) return createPlainText(400, "400 Bad Request");
    const startedMs = clock.elapsedMs();
    const createId = (): string => createUid(deps.random);
    const exchange = new Exchange({ incoming, target, clock, createId, stopping });
    const { body, ...head } = await answer(exchange);
    observe(exchange, head.status, startedMs);
    const isHead = incoming.method === "HEAD";
    if (isHead && isStream(body)) body.cancel();
    return {
      ...head,
      headers: exchange.isLast ? { ...head.headers, connection: "close" } : head.headers,
      body: isHead ? undefined : body,
    };
  };
}

/** The routes of the served resources and reviews. */
interface Routing {
  readonly router: Router<ServedRoute>;
  /** Whether the path of a request is served. Only such paths become labels of metrics. */
  isServed(info: RequestInfo): boolean;
}

function createRouting(deps: AppDeps, served: Served): Routing {
  const routes = createRoutes(deps, served);
  const router = new SmartRouter<ServedRoute>({ routers: [new RegExpRouter(), new TrieRouter()] });
  for (const route of routes) router.add(METHOD_NAME_ALL, route.path, route);
  const isServedResource = createServedCheck(served);
  const labels = new Set(routes.filter(({ isLabel }) => isLabel === true).map(({ path }) => path));
  return { router, isServed: (info) => info.isResourceRequest ? isServedResource(info) : labels.has(info.path) };
}

/** Creates the routes. Their order matters for paths that several of them match. Each handler receives every method. */
function createRoutes(deps: AppDeps, served: Served): readonly ServedRoute[] {
  const groups = listDiscoveredGroups(served);
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
    ...createApiRoutes({ ...deps, encodings: new SharedEncodings() }, served),
  ];
  const listed = routes.filter(({ isListed }) => isListed === true).map(({ path }) => path).sort();
  const index = encodeIndented({ paths: listed });
  const respondIndex = (exchange: Exchange) => respondBytes(exchange, 200, "application/json", index);
  return [...routes, { path: "/", answer: respondIndex }, { path: "/index.html", answer: respondIndex }];
}

function encodeIndented(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value, undefined, 2));
}

/** Replaces line breaks, which the router's patterns do not match, with spaces, which no route contains. */
function toRoutedPath(path: string): string {
  return path.replace(/[\n\r\u2028\u2029]/g, " ");
}

/** Creates the answer to a request with a malformed or too long target. */
function createPlainText(status: number, text: string): Answer {
  return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body: new TextEncoder().encode(text) };
}

/**
 * Creates the function that counts, times and audits each answer, and registers open streams to be authenticated again.
 */
function createObserver(
  deps: AppDeps,
  isServed: (exchange: Exchange) => boolean,
): (exchange: Exchange, code: number, startedMs: number) => void {
  const { authenticate, clock, stopping: signal, revocations, onClientCasChange } = deps;
  const reauthenticate = createReauthentication({ authenticate, clock, signal, revocations, onClientCasChange });
  return (exchange, code, startedMs) => {
    const { info, query, streamEnded: ended, authenticated } = exchange;
    const observed = { info, dryRun: query.has("dryRun"), isServed: isServed(exchange) };
    deps.metrics.observe(observed, code, (clock.elapsedMs() - startedMs) / 1000);
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
  };
}

/** Ends a stream whose user is no longer authenticated; a new request gets 401. */
function endStream({ logger }: AppDeps, exchange: Exchange): void {
  const { auditId, info: { path } } = exchange;
  logger.info("stream ended: its user is no longer authenticated", { path, auditId });
  exchange.abort(new Error("the user is no longer authenticated"));
}

/** Answers a request that failed. An error without a status is a bug in the server, so it is logged. */
function respondFailure({ logger }: AppDeps, exchange: Exchange, error: unknown): Promise<Answer> {
  if (exchange.isTimedOut) return respondTimeout(exchange);
  if (error instanceof OverloadError) return respondOverloaded(exchange);
  if (statusFromError(error).status.code === 500) {
    const { auditId, info: { path } } = exchange;
    logger.error("request failed", { path, auditId, error });
  }
  return respondError(exchange, error);
}

/** Answers a path that has a verb but no resource with kube-apiserver's error, before any other step. */
async function respondIncomplete(exchange: Exchange): Promise<Answer> {
  const { requestUri } = exchange;
  const why = `failed to create RequestInfo: unable to determine kind and namespace from url, ${requestUri}`;
  const text = `Internal Server Error: ${goQuote(requestUri)}: ${why}\n`;
  const answer = await respondText(exchange, 500, escapeMarkup(text));
  const { "cache-control": _control, ...headers } = answer.headers;
  return { ...answer, headers };
}

/** Begins the audit trail of a user's request. Throws StatusError 500 when the request must not be served unrecorded. */
function beginAuditTrail(deps: AppDeps, exchange: Exchange): void {
  exchange.audit = createAuditTrail(deps, exchange, exchange.user);
  if (exchange.credentialAnnotations !== undefined) exchange.audit?.annotate(exchange.credentialAnnotations);
  if (exchange.audit?.received() === false) throw internalError("failed to store audit event");
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
    userAgent: getUserAgent(exchange),
    receivedAt: exchange.receivedAt,
  });
}

function isAnonymous({ username, groups }: UserInfo): boolean {
  return username === ANONYMOUS_USER || groups.includes(UNAUTHENTICATED_GROUP);
}

/** Authenticates the client of a request. Throws StatusError 401. */
async function authenticate(deps: AppDeps, exchange: Exchange): Promise<UserInfo> {
  const startedMs = deps.clock.elapsedMs();
  // While the watch of a shared store is broken, this server does not know what others have revoked. Answers without a
  // resource do not need the store, and health checks must not wait for it.
  if (exchange.info.isResourceRequest) await deps.storage.catchUp(REVOKED_WITHIN_MS);
  const seconds = (): number => (deps.clock.elapsedMs() - startedMs) / 1000;
  const credentials = {
    authorizationHeader: findHeader(exchange, "authorization"),
    peerCertificate: exchange.incoming.peer,
    remoteAddress: getClientAddress(exchange.incoming),
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
    if (!isAnonymous(result.user)) {
      exchange.isLast = false;
      exchange.incoming.connection?.authenticated(result.user.username);
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

/** Replaces the user of a request with the one in its `Impersonate-*` headers. Throws StatusError 400 and 403. */
async function becomeUser(
  deps: AppDeps,
  exchange: Exchange,
  headers: Parameters<Impersonation>[0],
  impersonate: Impersonation,
): Promise<void> {
  let constraint: string | undefined;
  const onConstraint = (found: string): void => void (constraint = found);
  const attributes = toAttributes(exchange.info);
  exchange.user = await impersonate(headers, exchange.user, attributes, onConstraint).catch((error: unknown) => {
    throw error instanceof StatusError ? withNosniff(error) : error;
  });
  exchange.audit?.impersonated(exchange.user, constraint);
  refuseRevoked(deps, exchange);
}

/** Throws StatusError 403 for a request as a user who is revoked, whatever the impersonating user may do. */
function refuseRevoked({ revocations }: AppDeps, { user, authenticated, incoming, info, audit }: Exchange): void {
  if (user === authenticated?.user) return;
  const revoked = revocations.findRefusal(user, undefined, { remoteAddress: getClientAddress(incoming) });
  if (revoked === undefined) return;
  const reason = `the impersonated user cannot be used: ${revoked}`;
  audit?.refused(reason);
  throw withNosniff(createDeniedError(user, toAttributes(info), reason));
}

/** The names of decisions in metrics. */
const RESULTS = { allow: "allowed", deny: "denied", noOpinion: "no-opinion" } as const;

/** Throws StatusError 403 when the user may not make the request. */
async function authorize(deps: AppDeps, exchange: Exchange): Promise<void> {
  const { info, user, audit } = exchange;
  const attributes = toAttributes(info);
  const startedMs = deps.clock.elapsedMs();
  const decision = exchange.isRecovering && !await isRecoveryRequest(deps, exchange)
    ? NO_RECOVERY_REQUEST
    : await deps.authorizer.authorize(user, attributes);
  deps.metrics.authorized(RESULTS[decision.kind], (deps.clock.elapsedMs() - startedMs) / 1000);
  audit?.authorized(decision);
  if (decision.kind !== "allow") throw withNosniff(createDeniedError(user, attributes, decision.reason));
}

const NO_RECOVERY_REQUEST: Decision = {
  kind: "noOpinion",
  reason: "a node whose certificate has expired may only create a certificate signing request for itself and read it",
};

/** True when a recovering node makes one of the requests that it may make, without impersonation. */
async function isRecoveryRequest({ nodeRecovery }: AppDeps, exchange: Exchange): Promise<boolean> {
  const { user, authenticated, info } = exchange;
  return user === authenticated?.user && await nodeRecovery?.isAllowed(user, toAttributes(info)) === true;
}
