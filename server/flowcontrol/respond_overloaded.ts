/** The answer to a request that is to come again (apiserver `pkg/server/filters/maxinflight.go`, `tooManyRequests`). */
import type { Answer } from "../http/answer.ts";
import type { Exchange } from "../http/exchange.ts";
import { respondText } from "../http/respond.ts";

const RETRY_AFTER_SECONDS = "1";

/** 429 in plain text, as kube-apiserver answers before it knows what is asked. */
export function respondOverloaded(exchange: Exchange): Promise<Answer> {
  return respondText(exchange, 429, "Too many requests, please try again later.\n", {
    "retry-after": RETRY_AFTER_SECONDS,
  });
}
