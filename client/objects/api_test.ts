import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError, type ErrorCode, isAppError } from "../../core/errors.ts";
import type { Transport } from "../../core/ports.ts";
import { createFakeClock, type FakeClock } from "../../tests/support/fake_clock.ts";
import { failure, type FakeAnswer } from "../../tests/support/fake_api.ts";
import { type ApiClient, createApiClient, withWarnings } from "./api.ts";

const { signal } = new AbortController();

/** Creates a client that gets the given answers one after the other, and then repeats the last one. */
function createApi(
  answers: readonly FakeAnswer[],
  clock: FakeClock = createFakeClock(),
): ApiClient & { readonly sent: string[] } {
  const sent: string[] = [];
  const transport: Transport = {
    send(request) {
      sent.push(`${request.method} ${request.path} ${request.headers["content-type"] ?? "-"}`);
      const answer = answers[Math.min(sent.length, answers.length) - 1] ?? { status: 500 };
      const text = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body);
      const body = (async function* () {
        yield new TextEncoder().encode(text);
      })();
      return Promise.resolve({ status: answer.status, headers: answer.headers ?? {}, body });
    },
  };
  return { ...createApiClient(transport, { clock }), sent };
}

const GET = { method: "GET", path: "/x" } as const;

for (
  const { name, answer, code, message } of [
    { name: "a Status", answer: failure(403, "Forbidden", "no"), code: "access_denied", message: "no" },
    {
      name: "401",
      answer: failure(401, "Unauthorized", "Unauthorized"),
      code: "unauthorized",
      message: "Unauthorized",
    },
    {
      name: "an error page",
      answer: { status: 502, body: "<h1>bad gateway</h1>" },
      code: "api_error",
      message: "bad gateway",
    },
    {
      name: "404 of something else",
      answer: { status: 404, body: "404 page not found" },
      code: "not_found",
      message: "could not find the requested resource",
    },
  ] satisfies { name: string; answer: FakeAnswer; code: ErrorCode; message: string }[]
) {
  test(`requestJson() throws ${code} for ${name}`, async () => {
    await assert.rejects(createApi([answer]).requestJson(GET, signal), (error) => {
      assert.ok(error instanceof AppError);
      assert.equal(error.code, code);
      assert.ok(error.message.includes(message), error.message);
      return true;
    });
  });
}

for (const status of [429, 500, 503]) {
  test(`requestJson() waits after ${status} with Retry-After`, async () => {
    const clock = createFakeClock("2026-01-01T00:00:00Z");
    const busy = { ...failure(status, "X", "busy"), headers: { "retry-after": "7" } };
    const api = createApi([busy, busy, { status: 200, body: { a: 1 } }], clock);
    const result = api.requestJson(GET, signal);
    await clock.advance(6_999);
    assert.equal(api.sent.length, 1);
    await clock.advance(7_001);
    assert.deepEqual(await result, { a: 1 });
  });
}

test("requestJson() gives up after ten retries", async () => {
  const clock = createFakeClock();
  const api = createApi([{ ...failure(429, "TooManyRequests", "busy"), headers: { "retry-after": "1" } }], clock);
  const result = assert.rejects(api.requestJson(GET, signal), { message: "busy" });
  await clock.advance(60_000);
  await result;
  assert.equal(api.sent.length, 11);
});

for (
  const { name, answer } of [
    { name: "no Retry-After", answer: failure(503, "ServiceUnavailable", "down") },
    { name: "another status", answer: { ...failure(404, "NotFound", "none"), headers: { "retry-after": "1" } } },
    {
      name: "a date",
      answer: { ...failure(503, "X", "down"), headers: { "retry-after": "Wed, 21 Oct 2026 07:28:00 GMT" } },
    },
  ]
) {
  test(`requestJson() does not retry with ${name}`, async () => {
    const api = createApi([answer]);
    await assert.rejects(api.requestJson(GET, signal));
    assert.equal(api.sent.length, 1);
  });
}

test("requestObject() and requestList() refuse other values", async () => {
  for (const body of ["no json", "[]", "{}", '{"metadata":1}', "null"]) {
    const api = createApi([{ status: 200, body }]);
    await assert.rejects(api.requestObject(GET, signal), (error) => isAppError(error, "api_error"));
  }
  for (const body of ["1", '{"items":{}}', '{"items":[1]}']) {
    await assert.rejects(
      createApi([{ status: 200, body }]).requestList(GET, signal),
      (error) => isAppError(error, "api_error"),
    );
  }
  const empty = await createApi([{ status: 200, body: { metadata: { resourceVersion: "3" }, items: null } }])
    .requestList(
      GET,
      signal,
    );
  assert.deepEqual(empty, { metadata: { resourceVersion: "3" }, items: [] });
});

test("requestJson() sends a body as JSON, or with the given content type", async () => {
  const api = createApi([{ status: 200, body: {} }]);
  await api.requestJson({ method: "POST", path: "/x", body: {} }, signal);
  await api.requestJson({ method: "PATCH", path: "/x", body: {}, contentType: "application/merge-patch+json" }, signal);
  assert.deepEqual(api.sent, ["POST /x application/json", "PATCH /x application/merge-patch+json"]);
});

test("withWarnings() reports warnings", async () => {
  const warnings: string[] = [];
  const transport: Transport = {
    send: () =>
      Promise.resolve({
        status: 200,
        headers: { warning: '299 - "a \\"b\\", c", 299 - "d"' },
        body: (async function* () {
          yield new TextEncoder().encode("{}");
        })(),
      }),
  };
  const api = createApiClient(withWarnings(transport, (text) => warnings.push(text)), { clock: createFakeClock() });
  await api.requestJson(GET, signal);
  assert.deepEqual(warnings, ['a "b", c', "d"]);
});
