import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { startFakeApi } from "../tests/support/fake_api.ts";
import { createAccessReviewer } from "./access_reviewer.ts";
import { createTlsTransport } from "./transport.ts";

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
