/** One request on its way through the pipeline, after authentication and authorization. */
import type { UserInfo } from "../../core/kube/user.ts";
import type { RequestInfo } from "./request_info.ts";

/** Everything a handler may know of a request. */
export interface Exchange {
  readonly request: Request;
  readonly query: URLSearchParams;
  readonly info: RequestInfo;
  /** After impersonation. */
  readonly user: UserInfo;
  readonly auditId: string;
  readonly warnings: Warnings;
  /** Aborts when the client goes away or the server stops. */
  readonly signal: AbortSignal;
}

/** The first value of a header, undefined when absent. */
export function headerOf(exchange: Exchange, name: string): string | undefined {
  return exchange.request.headers.get(name) ?? undefined;
}

const MAX_WARNINGS_LENGTH = 4096;
const CUT_WARNING_LENGTH = 256;

/** Warnings for the client, each at most once, cut when they grow too long together (RFC 7234 section 5.5). */
export class Warnings {
  readonly #texts = new Set<string>();

  add(text: string): void {
    // deno-lint-ignore no-control-regex -- a header value cannot hold them
    this.#texts.add(text.replace(/[\u0000-\u001f\u007f]/g, " "));
  }

  /** Header values, such as `299 - "unknown field \"spec.foo\""`. */
  headers(): readonly string[] {
    const texts = [...this.#texts];
    const total = texts.reduce((sum, text) => sum + text.length, 0);
    if (total <= MAX_WARNINGS_LENGTH) return texts.map(quoteWarning);
    const kept: string[] = [];
    let length = 0;
    for (const text of texts) {
      const cut = text.slice(0, CUT_WARNING_LENGTH);
      length += cut.length;
      if (length > MAX_WARNINGS_LENGTH) break;
      kept.push(quoteWarning(cut));
    }
    return kept;
  }
}

function quoteWarning(text: string): string {
  return `299 - "${text.replace(/([\\"])/g, "\\$1")}"`;
}
