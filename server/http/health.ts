/** `/healthz`, `/livez`, `/readyz` and their single checks (`apiserver/pkg/server/healthz`). */
import type { Exchange } from "./exchange.ts";
import { respondText } from "./respond.ts";

/** One check: resolves when all is well, throws what is not. */
export interface HealthCheck {
  readonly name: string;
  check(): Promise<void>;
  /** Only asked by `/readyz`. */
  readonly readyOnly?: boolean;
}

/** Answers health paths; undefined for any other path. */
export type HealthHandler = (exchange: Exchange) => Promise<Response> | undefined;

const ENDPOINTS: readonly string[] = ["healthz", "livez", "readyz"];

/** Builds the handler over the given checks. */
export function createHealth(checks: readonly HealthCheck[]): HealthHandler {
  return (exchange) => {
    const [, endpoint = "", single, ...rest] = exchange.info.path.split("/");
    if (!ENDPOINTS.includes(endpoint) || single === "" || rest.length > 0) return undefined;
    const asked = checks.filter((check) => check.readyOnly !== true || endpoint === "readyz");
    if (single === undefined) return answerAll(exchange, endpoint, asked);
    const one = asked.find((check) => check.name === single);
    return one === undefined ? undefined : answerOne(exchange, one);
  };
}

async function answerOne(exchange: Exchange, check: HealthCheck): Promise<Response> {
  const failure = await failureOf(check);
  return failure === undefined
    ? respondText(exchange, 200, "ok")
    : respondText(exchange, 500, `internal server error: ${failure}\n`);
}

async function answerAll(exchange: Exchange, endpoint: string, checks: readonly HealthCheck[]): Promise<Response> {
  const excluded = new Set(exchange.query.getAll("exclude"));
  const lines: string[] = [];
  let failed = false;
  for (const check of checks) {
    if (excluded.delete(check.name)) {
      lines.push(`[+]${check.name} excluded: ok`);
      continue;
    }
    const failure = await failureOf(check);
    failed ||= failure !== undefined;
    lines.push(failure === undefined ? `[+]${check.name} ok` : `[-]${check.name} failed: reason withheld`);
  }
  if (excluded.size > 0) {
    const names = [...excluded].map((name) => JSON.stringify(name)).join(",");
    lines.push(`warn: some health checks cannot be excluded: no matches for ${names}`);
  }
  if (failed) return respondText(exchange, 500, `${lines.join("\n")}\n${endpoint} check failed\n`);
  if (!exchange.query.has("verbose")) return respondText(exchange, 200, "ok");
  return respondText(exchange, 200, `${lines.join("\n")}\n${endpoint} check passed\n`);
}

async function failureOf(check: HealthCheck): Promise<string | undefined> {
  try {
    await check.check();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
