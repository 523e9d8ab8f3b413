import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { errorFromStatus, StatusError } from "./status.ts";

const CSRS = { group: "certificates.k8s.io", plural: "certificatesigningrequests" };
const RESOURCE = "certificatesigningrequests.certificates.k8s.io";

for (
  const { status, body, request, reason, code, message } of [
    {
      status: 404,
      body: "404 page not found",
      request: {},
      reason: "NotFound",
      code: "not_found",
      message: "the server could not find the requested resource",
    },
    {
      status: 500,
      body: 'say "x"',
      request: {},
      reason: "InternalError",
      code: "api_error",
      message: 'an error on the server ("say \\"x\\"") has prevented the request from succeeding',
    },
    {
      status: 502,
      body: "",
      request: {},
      reason: "InternalError",
      code: "api_error",
      message: 'an error on the server ("unknown") has prevented the request from succeeding',
    },
    {
      status: 409,
      body: {},
      request: { method: "POST", resource: CSRS, name: "a" },
      reason: "AlreadyExists",
      code: "already_exists",
      message: `the server reported a conflict (post ${RESOURCE} a)`,
    },
    {
      status: 409,
      body: {},
      request: { method: "PUT", resource: CSRS },
      reason: "Conflict",
      code: "conflict",
      message: `the server reported a conflict (put ${RESOURCE})`,
    },
    { status: 403, body: "no entry", request: {}, reason: "Forbidden", code: "access_denied", message: "no entry" },
    {
      status: 401,
      body: undefined,
      request: {},
      reason: "Unauthorized",
      code: "unauthorized",
      message: "the server has asked for the client to provide credentials",
    },
    {
      status: 429,
      body: "x",
      request: { retryAfterSeconds: 7 },
      reason: "TooManyRequests",
      code: "api_error",
      message: "the server has received too many requests and has asked us to try again later",
    },
    {
      status: 418,
      body: "x",
      request: {},
      reason: undefined,
      code: "api_error",
      message: "the server responded with the status code 418 but did not return more information",
    },
  ] as const
) {
  test(`errorFromStatus() synthesizes a Status for ${status} ${JSON.stringify(body)}`, () => {
    const error = errorFromStatus(status, body, request);
    assert.equal(error.message, message);
    assert.equal(error.status.reason, reason);
    assert.equal(error.status.code, status);
    assert.equal(error.code, code);
  });
}

test("errorFromStatus() keeps Retry-After and marks the error as retryable", () => {
  const error = errorFromStatus(503, "busy", { retryAfterSeconds: 7 });
  assert.equal(error.status.details?.retryAfterSeconds, 7);
  assert.equal(error.retryable, true);
});

test("errorFromStatus() returns for any body", () => {
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 599 }), fc.jsonValue(), (status, body) => {
      const wrapped = typeof body === "object" && body !== null && !Array.isArray(body)
        ? { ...body, kind: "Status", apiVersion: "v1", status: "Failure" }
        : body;
      assert.ok(errorFromStatus(status, wrapped) instanceof StatusError);
    }),
  );
});
