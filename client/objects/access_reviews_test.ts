import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { startFakeApi } from "../../tests/support/fake_api.ts";
import { createAccessReviewer } from "./access_reviews.ts";
import { createTlsTransport } from "../transport/tls_transport.ts";

for (
  const { status, want } of [
    { status: { allowed: true }, want: true },
    { status: { allowed: false }, want: false },
    { status: { allowed: true, denied: true }, want: false },
    { status: undefined, want: false },
  ]
) {
  test(`isAllowed() is ${want} for the status ${JSON.stringify(status)}`, async () => {
    await using api = await startFakeApi();
    await using transport = createTlsTransport({ server: api.server, caPem: api.ca.caPem, userAgent: "x" });
    api.intercept = () => ({ status: 201, body: { metadata: {}, status } });
    const spec = { user: "u", groups: ["g"], resourceAttributes: { verb: "create", resource: "things" } };
    const reviewer = createAccessReviewer(transport, { clock: createFakeClock() });
    assert.equal(await reviewer.isAllowed(spec, new AbortController().signal), want);
    assert.deepEqual(api.requests, ["POST /apis/authorization.k8s.io/v1/subjectaccessreviews"]);
    const body = { apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", metadata: {}, spec };
    assert.deepEqual(api.received[0]?.body, body);
  });
}

test("isAllowed() sends equal questions once while they are in flight, and again afterwards", async () => {
  await using api = await startFakeApi();
  await using transport = createTlsTransport({ server: api.server, caPem: api.ca.caPem, userAgent: "x" });
  let allowed = true;
  api.intercept = () => ({ status: 201, body: { metadata: {}, status: { allowed } } });
  const spec = { user: "u", resourceAttributes: { verb: "create", resource: "things" } };
  const other = { ...spec, user: "v" };
  const { signal } = new AbortController();
  const reviewer = createAccessReviewer(transport, { clock: createFakeClock() });
  const answers = await Promise.all([spec, { ...spec }, other].map((asked) => reviewer.isAllowed(asked, signal)));
  assert.deepEqual(answers, [true, true, true]);
  assert.deepEqual(api.received.map(({ body }) => (body as { spec: object }).spec), [spec, other]);
  allowed = false;
  assert.equal(await reviewer.isAllowed(spec, signal), false);
  assert.equal(api.received.length, 3);
});

test("isAllowed() that is aborted does not affect the same question with another signal", async () => {
  await using api = await startFakeApi();
  await using transport = createTlsTransport({ server: api.server, caPem: api.ca.caPem, userAgent: "x" });
  api.intercept = () => ({ status: 201, body: { metadata: {}, status: { allowed: true } } });
  const reviewer = createAccessReviewer(transport, { clock: createFakeClock() });
  const leaving = new AbortController();
  const left = reviewer.isAllowed({ user: "u" }, leaving.signal);
  const stayed = reviewer.isAllowed({ user: "u" }, new AbortController().signal);
  leaving.abort(new Error("gone"));
  await assert.rejects(left, /gone/);
  assert.equal(await stayed, true);
});
