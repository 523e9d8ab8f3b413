/**
 * The whole HTTP surface as one value. A request walks one way: observe → authenticate → impersonate → authorize →
 * dispatch; nothing skips a step. In-process clients pass the same way, only TLS is left out.
 */
import { type Context, Hono, type Next } from "hono";
import { parseDuration } from "../core/duration.ts";
import { badRequest, statusFromError, unauthorized } from "../core/kube/status.ts";
import type { UserInfo } from "../core/kube/user.ts";
import type { Decision } from "../core/rbac/attributes.ts";
import type { Authenticator } from "./authn/authentication.ts";
import type { PeerCertificate } from "./authn/peer_certificate.ts";
import type { Authorizer } from "./authz/authorizer.ts";
import { deniedError } from "./authz/denied.ts";
import { resolveImpersonation } from "./authz/impersonation.ts";
import { type AuditSink, formatAuditEvent } from "./http/audit.ts";
import { createDiscovery, type DiscoveredResource } from "./http/discovery.ts";
import { type Exchange, Warnings } from "./http/exchange.ts";
import { createHealth, type HealthCheck } from "./http/health.ts";
import type { Metrics } from "./http/metrics.ts";
import { createOpenapi } from "./http/openapi.ts";
import { attributesOf, decodePath, parseRequestInfo } from "./http/request_info.ts";
import { createResourceHandler, type Served } from "./http/resource_handler.ts";
import { respondBytes, respondError, respondText } from "./http/respond.ts";
import { assertRoute } from "./http/routes.ts";
import { createUid, type RegistryDeps } from "./registry/registry.ts";

/** Dependencies of the app. */
export interface AppDeps extends RegistryDeps {
  readonly served: Served;
  readonly authenticate: Authenticator;
  readonly authorizer: Authorizer;
  readonly audit: AuditSink | undefined;
  readonly metrics: Metrics;
  readonly checks: readonly HealthCheck[];
  /** `/version`, as it is sent. */
  readonly version: Readonly<Record<string, string>>;
  /** `host:port` under which clients reach the server, for old discovery. */
  readonly serverAddress: () => string;
  /** Aborts when the server stops: watches end. */
  readonly stopping: AbortSignal;
}

/** What stands beside a request: who is at the other end. */
export interface Caller {
  readonly peer: PeerCertificate | undefined;
  readonly remoteAddress: string;
  /** Header names and values in turn, as they came: repeated headers stay apart. */
  readonly rawHeaders: readonly string[];
  /** Path and query as they came, with dot segments and escapes; the request's own URL when absent. */
  readonly target?: string;
  /** Set for in-process clients only: they are who the composition root says. */
  readonly user?: UserInfo;
  /** Aborts when the caller goes away; the request's own signal when absent. */
  readonly signal?: AbortSignal;
}

interface Variables {
  exchange: Exchange;
  receivedAt: Date;
  requester: UserInfo | undefined;
  impersonated: UserInfo | undefined;
  decision: Decision | undefined;
}

type Env = { Bindings: Caller; Variables: Variables };
type AppContext = Context<Env>;

const NOBODY: UserInfo = { username: "", uid: "", groups: [], extra: {} };
const MAX_AUDIT_ID = 64;

/** Answers a request of a caller. */
export type App = (request: Request, caller: Caller) => Promise<Response>;

/** Builds the app. */
export function createApp(deps: AppDeps): App {
  const hono = new Hono<Env>({ strict: true });
  hono.use(observe(deps));
  hono.use(authenticate(deps));
  hono.use(impersonate(deps));
  hono.use(authorize(deps));
  hono.all("*", dispatch(deps));
  hono.notFound((context) => respondText(context.get("exchange"), 404, "404 page not found\n"));
  hono.onError((error, context) => {
    const { status } = statusFromError(error);
    if (status.code === 500) deps.logger.error("request failed", { path: context.req.path, error });
    return respondError(context.get("exchange"), error);
  });
  return (request, caller) =>
    decodePath(targetOf(request, caller).path) === undefined
      ? Promise.resolve(new Response("400 Bad Request", { status: 400 }))
      : Promise.resolve(hono.fetch(request, caller));
}

/** Where a request goes, as it came: URLs drop dot segments, which kube-apiserver refuses as names. */
function targetOf(request: Request, caller: Caller): { requestUri: string; path: string; query: URLSearchParams } {
  const url = new URL(request.url);
  const requestUri = caller.target?.startsWith("/") === true ? caller.target : `${url.pathname}${url.search}`;
  const mark = requestUri.indexOf("?");
  return {
    requestUri,
    path: mark < 0 ? requestUri : requestUri.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? "" : requestUri.slice(mark + 1)),
  };
}

/** `timeout` must be a duration on every request but a watch. Throws StatusError 400. */
function assertTimeout({ info, query }: Exchange): void {
  const text = query.get("timeout") ?? "";
  if (text === "" || info.verb === "watch") return;
  const parsed = parseDuration(text);
  if (!parsed.ok) throw badRequest(`invalid timeout specified in the request URL - ${parsed.error}`);
}

/** Gives the request its id and reading, and counts, times and audits the answer. */
function observe(deps: AppDeps) {
  return async (context: AppContext, next: Next): Promise<void> => {
    const request = context.req.raw;
    const { requestUri, path, query } = targetOf(request, context.env);
    const receivedAt = deps.clock.now();
    const info = parseRequestInfo(request.method, decodePath(path) ?? path, query);
    context.set("receivedAt", receivedAt);
    context.set("exchange", {
      request,
      query,
      info,
      user: NOBODY,
      auditId: adoptedAuditId(request) ?? createUid(deps.random),
      warnings: new Warnings(),
      signal: AbortSignal.any([context.env.signal ?? request.signal, deps.stopping]),
    });
    await next();
    const answeredAt = deps.clock.now();
    const code = context.res.status;
    deps.metrics.observe(info, code, (answeredAt.getTime() - receivedAt.getTime()) / 1000);
    deps.audit?.write(formatAuditEvent({
      auditId: context.get("exchange").auditId,
      requestUri,
      info,
      user: context.get("requester") ?? NOBODY,
      impersonatedUser: context.get("impersonated"),
      remoteAddress: context.env.remoteAddress,
      userAgent: request.headers.get("user-agent") ?? "",
      code,
      decision: context.get("decision"),
      receivedAt,
      answeredAt,
    }));
  };
}

function authenticate(deps: AppDeps) {
  return async (context: AppContext, next: Next): Promise<void> => {
    const exchange = context.get("exchange");
    assertTimeout(exchange);
    const user = context.env.user ?? await authenticatedUser(deps, exchange, context.env);
    context.set("requester", user);
    context.set("exchange", { ...exchange, user });
    await next();
  };
}

async function authenticatedUser(deps: AppDeps, exchange: Exchange, caller: Caller): Promise<UserInfo> {
  const result = await deps.authenticate({
    authorizationHeader: exchange.request.headers.get("authorization") ?? undefined,
    peerCertificate: caller.peer,
  });
  for (const warning of result.warnings ?? []) exchange.warnings.add(warning);
  if (result.kind !== "unauthorized") return result.user;
  deps.logger.info("request refused: not authenticated", { path: exchange.info.path, reason: result.reason });
  throw unauthorized();
}

function impersonate(deps: AppDeps) {
  return async (context: AppContext, next: Next): Promise<void> => {
    const exchange = context.get("exchange");
    const headers = impersonationHeaders(context.env.rawHeaders);
    if (headers.length > 0) {
      const user = await resolveImpersonation(headers, exchange.user, deps.authorizer, attributesOf(exchange.info));
      context.set("impersonated", user);
      context.set("exchange", { ...exchange, user });
    }
    await next();
  };
}

/** The `Impersonate-*` headers; group names may contain commas, so joined values would not do. */
function impersonationHeaders(raw: readonly string[]): readonly (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]!.toLowerCase();
    if (name.startsWith("impersonate-")) pairs.push([name, raw[index + 1]!]);
  }
  return pairs;
}

function authorize(deps: AppDeps) {
  return async (context: AppContext, next: Next): Promise<void> => {
    const { info, user } = context.get("exchange");
    const attributes = attributesOf(info);
    const decision = await deps.authorizer.authorize(user, attributes);
    context.set("decision", decision);
    if (decision.kind !== "allow") throw deniedError(user, attributes, decision.reason);
    await next();
  };
}

function dispatch(deps: AppDeps) {
  const discovered = discoveredResources(deps.served);
  const handleResource = createResourceHandler(deps, deps.served);
  const discovery = createDiscovery(discovered, deps.serverAddress);
  const health = createHealth(deps.checks);
  const openapi = createOpenapi(discovered, deps.version["gitVersion"] ?? "");
  const version = new TextEncoder().encode(JSON.stringify(deps.version, undefined, 2));
  const index = new TextEncoder().encode(JSON.stringify({ paths: pathsOf(discovered) }, undefined, 2));
  return async (context: AppContext): Promise<Response> => {
    const exchange = context.get("exchange");
    const { info } = exchange;
    if (info.isResourceRequest) return await handleResource(exchange);
    if (/^\/version\/?$/.test(info.path)) {
      assertRoute(exchange, ["GET"]);
      return respondBytes(exchange, 200, "application/json", version);
    }
    // The paths below answer to any method, as kube-apiserver's do.
    if (info.path === "/") return respondBytes(exchange, 200, "application/json", index);
    if (info.path === "/metrics") {
      const { contentType, text } = await deps.metrics.render();
      return respondBytes(exchange, 200, contentType, new TextEncoder().encode(text));
    }
    const answer = health(exchange) ?? discovery(exchange) ?? openapi(exchange);
    if (answer !== undefined) return await answer;
    return respondText(exchange, 404, "404 page not found\n");
  };
}

function discoveredResources(served: Served): readonly DiscoveredResource[] {
  return [
    ...served.resources.map(({ kind, verbs, subresources }) => ({ kind, verbs, subresources, stored: true })),
    ...served.reviews.map(({ kind }) => ({ kind, verbs: ["create"], subresources: [], stored: false })),
  ];
}

/** A client may name its request, within 64 characters. */
function adoptedAuditId(request: Request): string | undefined {
  const given = request.headers.get("audit-id") ?? "";
  return given !== "" && given.length <= MAX_AUDIT_ID ? given : undefined;
}

/** What `/` lists. */
function pathsOf(discovered: readonly DiscoveredResource[]): readonly string[] {
  const groups = discovered.flatMap(({ kind: { group, version } }) =>
    group === "" ? ["/api", `/api/${version}`] : ["/apis", `/apis/${group}`, `/apis/${group}/${version}`]
  );
  return [
    ...new Set([...groups, "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]),
  ]
    .sort();
}
