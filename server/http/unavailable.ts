import { jsonText } from "../../core/kube/codec/encode.ts";
import { serviceUnavailable } from "../../core/kube/status.ts";
import type { Answer } from "./answer.ts";
import { type Exchange, findHeader } from "./exchange.ts";
import { respondBytes, respondText } from "./respond.ts";

/** The answers of a server that is overloaded or stopping. */

/** Probes and metrics are served until the process ends. */
const ANSWERED_TO_THE_END: readonly string[] = ["/readyz", "/livez", "/healthz", "/metrics"];

/**
 * Refuses a new request while the server stops (apiserver `pkg/server/filters/waitgroup.go`); undefined for requests that
 * are still served. Watches end by themselves.
 */
export function refuseWhileDraining(exchange: Exchange): Promise<Answer> | undefined {
  const { info: { path, verb } } = exchange;
  if (verb === "watch" || ANSWERED_TO_THE_END.some((prefix) => path.startsWith(prefix))) return undefined;
  if (findHeader(exchange, "user-agent")?.startsWith("kube-apiserver/") === true) return undefined;
  const { status } = serviceUnavailable("apiserver is shutting down");
  const body = `${jsonText({ kind: "Status", apiVersion: "v1", ...status })}\n\n`;
  return respondBytes(exchange, status.code ?? 503, "application/json", new TextEncoder().encode(body), {
    "retry-after": "1",
    "x-content-type-options": "nosniff",
  });
}

const RETRY_AFTER_SECONDS = "1";

/** Answers 429 in plain text (apiserver `pkg/server/filters/maxinflight.go`, `tooManyRequests`). */
export function respondOverloaded(exchange: Exchange): Promise<Answer> {
  return respondText(exchange, 429, "Too many requests, please try again later.\n", {
    "retry-after": RETRY_AFTER_SECONDS,
  });
}
