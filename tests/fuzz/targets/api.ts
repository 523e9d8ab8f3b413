/** `api`: complete requests to the complete API in memory, which must not answer with an unintended 5xx. */
import { StatusError } from "../../../core/kube/status/status.ts";
import { inBody, type LooseRequest, readRequest, REQUEST_WORDS, requestSeeds } from "../inputs/requests.ts";
import { createTestApp, type TestApp } from "../../support/test_app.ts";
import { assertHolds, assertSame, toOutcome } from "../oracle.ts";
import { restructureJson } from "../structure/json.ts";
import { type Bytes, type Target } from "../target.ts";

/** The number of requests after which the app is recreated, because created objects stay. */
const REQUESTS_PER_APP = 500;
/** Paths on which the server fails in the same way as kube-apiserver. */
export const CUT_PATH = /failed to create RequestInfo/;

export async function api(): Promise<Target> {
  let app = await createTestApp();
  let count = 0;
  return {
    seeds: requestSeeds([]),
    words: REQUEST_WORDS,
    maxBytes: 3 * 2 ** 20,
    restructure: inBody(restructureJson),
    graceMs: 500,
    async run(input) {
      if (++count % REQUESTS_PER_APP === 0) {
        await app[Symbol.asyncDispose]();
        app = await createTestApp();
      }
      return await answer(app, input);
    },
    async close() {
      const health = await app.send("GET", "/readyz");
      assertSame(health.text, "ok", "health at the end");
      await app[Symbol.asyncDispose]();
    },
  };
}

async function answer(app: TestApp, input: Bytes): Promise<string> {
  const { method, path, headers, body } = readRequest(input);
  const logged = app.logger.entries.length;
  const abort = new AbortController();
  if (!isRequest(method, path, headers, body)) return "no request";
  const response = await app.open(method, path, {
    headers: Object.fromEntries(headers),
    rawHeaders: headers.flat(),
    signal: abort.signal,
    ...(body.length === 0 ? {} : { body }),
  });
  // Watches run until they are aborted.
  abort.abort();
  const text = await response.text();
  const failures = app.logger.entries.slice(logged).filter(({ message }) => message === "request failed");
  for (const { fields } of failures) {
    // An error that is not a Status is a bug.
    if (!(fields["error"] instanceof StatusError)) throw fields["error"];
  }
  if (response.status >= 500) {
    assertHolds(failures.length > 0 || CUT_PATH.test(text) || response.status === 504, `${response.status}: ${text}`);
  }
  return assertWellFormed(response.status, response.headers.get("content-type") ?? "", text);
}

/** Reports whether a request is valid HTTP; the listener refuses others. */
function isRequest(method: string, path: string, headers: LooseRequest["headers"], body: Bytes): boolean {
  if (!path.startsWith("/") || (/^(?:GET|HEAD)$/i.test(method) && body.length > 0)) return false;
  try {
    return new Request(`https://api.test${path}`, { method, headers: headers.map(([name, value]) => [name, value]) })
      .url !== "";
  } catch {
    return false;
  }
}

/** Checks that a Status in the body agrees with the status line. */
export function assertWellFormed(code: number, contentType: string, text: string): string {
  if (contentType !== "application/json" || code < 400) return `${code}`;
  const status = JSON.parse(text) as { kind?: unknown; code?: unknown; message?: unknown };
  assertSame([status.kind, status.code], ["Status", code], "Status");
  return toOutcome(`${code} ${String(status.message)}`);
}
