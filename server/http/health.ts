/** The health endpoints `/healthz`, `/livez` and `/readyz` with their checks (`apiserver/pkg/server/healthz`). */
import { getErrorMessage } from "../../core/errors.ts";
import { goQuote } from "../../core/lib/go_text.ts";
import type { Answer } from "./answer.ts";
import type { Exchange } from "./exchange.ts";
import { respondBytes, respondText } from "./respond.ts";
import { PROBE_PATHS } from "./request_info.ts";
import type { ServedRoute } from "./routes.ts";
import type { Storage } from "../storage/storage.ts";

/** One health check: it resolves when the server is healthy, and throws the fault otherwise. */
export interface HealthCheck {
  readonly name: string;
  check(): Promise<void>;
  /** Whether only `/readyz` runs the check. */
  readonly readyOnly?: boolean;
}

/** Creates the routes of each endpoint: one for all checks together, and one for each check. */
export function createHealthRoutes(checks: readonly HealthCheck[]): readonly ServedRoute[] {
  return PROBE_PATHS.flatMap((path) => {
    const own = selectChecks(path, checks);
    return [
      { path, isListed: true, isLabel: true, answer: (exchange: Exchange) => answerAll(exchange, path.slice(1), own) },
      ...own.map((check) => ({
        path: `${path}/${check.name}`,
        isListed: true,
        answer: (exchange: Exchange) => answerOne(exchange, check),
      })),
    ];
  });
}

function selectChecks(path: string, checks: readonly HealthCheck[]): readonly HealthCheck[] {
  return checks.filter(({ readyOnly }) => readyOnly !== true || path === "/readyz");
}

async function answerOne(exchange: Exchange, check: HealthCheck): Promise<Answer> {
  const failure = await findFailure(check);
  if (failure !== undefined) return respondText(exchange, 500, `internal server error: ${failure}\n`);
  return respondBytes(exchange, 200, "text/plain; charset=utf-8", new TextEncoder().encode("ok"));
}

async function answerAll(exchange: Exchange, endpoint: string, checks: readonly HealthCheck[]): Promise<Answer> {
  const excluded = new Set(exchange.query.getAll("exclude"));
  const unknown = new Set(excluded);
  const lines: string[] = [];
  let failed = false;
  for (const check of checks) {
    if (excluded.has(check.name)) {
      unknown.delete(check.name);
      lines.push(`[+]${check.name} excluded: ok\n`);
      continue;
    }
    const failure = await findFailure(check);
    failed ||= failure !== undefined;
    lines.push(failure === undefined ? `[+]${check.name} ok\n` : `[-]${check.name} failed: reason withheld\n`);
  }
  if (unknown.size > 0) {
    const names = [...unknown].sort().map(goQuote).join(",");
    lines.push(`warn: some health checks cannot be excluded: no matches for ${names}\n`);
  }
  if (failed) return respondText(exchange, 500, `${lines.join("")}${endpoint} check failed\n`);
  if (!exchange.query.has("verbose")) return respondText(exchange, 200, "ok");
  return respondText(exchange, 200, `${lines.join("")}${endpoint} check passed\n`);
}

async function findFailure(check: HealthCheck): Promise<string | undefined> {
  try {
    await check.check();
    return undefined;
  } catch (error) {
    return getErrorMessage(error);
  }
}

/**
 * Creates the checks, with kube-apiserver's names and in its order. Probes refer to the names, as in
 * `/livez?exclude=etcd`.
 */
export function createHealthChecks(
  { storage, stopping, more = [] }: {
    readonly storage: Pick<Storage, "health">;
    readonly stopping: AbortSignal;
    /** Further checks, which run before the last one. */
    readonly more?: readonly HealthCheck[];
  },
): readonly HealthCheck[] {
  const checkStorage = () => storage.health();
  return [
    { name: "ping", check: passOnceStarted },
    { name: "log", check: passOnceStarted },
    // The storage corresponds to kube-apiserver's etcd.
    { name: "etcd", check: checkStorage },
    { name: "etcd-readiness", readyOnly: true, check: checkStorage },
    // The next three are complete before the server listens.
    { name: "informer-sync", readyOnly: true, check: passOnceStarted },
    { name: "poststarthook/start-system-namespaces-controller", check: passOnceStarted },
    { name: "poststarthook/rbac/bootstrap-roles", check: passOnceStarted },
    ...more,
    { name: "shutdown", readyOnly: true, check: () => refuseWhenStopping(stopping) },
  ];
}

function passOnceStarted(): Promise<void> {
  return Promise.resolve();
}

function refuseWhenStopping(stopping: AbortSignal): Promise<void> {
  return stopping.aborted ? Promise.reject(new Error("process is shutting down")) : Promise.resolve();
}
