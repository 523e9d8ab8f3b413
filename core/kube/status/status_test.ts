import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { AppError, type ErrorCode } from "../../errors.ts";
import { forbiddenField, invalid, requiredField } from "./field_error.ts";
import {
  alreadyExists,
  applyConflict,
  badRequest,
  conflict,
  errorFromStatus,
  forbidden,
  generateNameConflict,
  genericServerError,
  internalError,
  invalidObject,
  invalidPatchedObject,
  NO_RESOURCE,
  notAcceptable,
  notFound,
  patchFailure,
  pathNotFound,
  requestEntityTooLarge,
  resourceExpired,
  serviceUnavailable,
  StatusError,
  statusFromError,
  timeout,
  tooLargeResourceVersion,
  unauthorized,
  unprocessable,
  unsupportedMediaType,
} from "./status.ts";

const CSRS = { group: "certificates.k8s.io", plural: "certificatesigningrequests" };
const CSR = { group: "certificates.k8s.io", kind: "CertificateSigningRequest" };
const SECRETS = { group: "", plural: "secrets" };
const DETAILS = '"details":{"name":"a","group":"certificates.k8s.io","kind":"certificatesigningrequests"}';
const RESOURCE = "certificatesigningrequests.certificates.k8s.io";

function failureJson(code: number, reason: string, message: string, details = ""): string {
  const texts = [reason === "" ? "" : `"reason":"${reason}",`, details === "" ? "" : `${details},`];
  return `{"metadata":{},"status":"Failure","message":${JSON.stringify(message)},${texts.join("")}"code":${code}}`;
}

for (
  const { name, error, code, want } of [
    { name: "badRequest", error: badRequest("no"), code: "invalid", want: failureJson(400, "BadRequest", "no") },
    {
      name: "unauthorized",
      error: unauthorized(),
      code: "unauthorized",
      want: failureJson(401, "Unauthorized", "Unauthorized"),
    },
    {
      name: "forbidden, named",
      error: forbidden(CSRS, "a", "why"),
      code: "access_denied",
      want: failureJson(403, "Forbidden", `${RESOURCE} "a" is forbidden: why`, DETAILS),
    },
    {
      name: "forbidden, nameless",
      error: forbidden(SECRETS, "", "why"),
      code: "access_denied",
      want: failureJson(403, "Forbidden", "secrets is forbidden: why", '"details":{"kind":"secrets"}'),
    },
    {
      name: "forbidden, path",
      error: forbidden(NO_RESOURCE, "", 'User "u" cannot get path "/x"'),
      code: "access_denied",
      want: failureJson(403, "Forbidden", 'forbidden: User "u" cannot get path "/x"', '"details":{}'),
    },
    {
      name: "notFound",
      error: notFound(CSRS, "a"),
      code: "not_found",
      want: failureJson(404, "NotFound", `${RESOURCE} "a" not found`, DETAILS),
    },
    {
      name: "pathNotFound",
      error: pathNotFound(),
      code: "not_found",
      want: failureJson(404, "NotFound", "the server could not find the requested resource", '"details":{}'),
    },
    {
      name: "notAcceptable",
      error: notAcceptable(["application/json", "application/yaml"]),
      code: "api_error",
      want: failureJson(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json, application/yaml",
      ),
    },
    {
      name: "unsupportedMediaType",
      error: unsupportedMediaType(["a/b", "c/d"]),
      code: "api_error",
      want: failureJson(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: a/b, c/d",
      ),
    },
    {
      name: "alreadyExists",
      error: alreadyExists(CSRS, "a"),
      code: "already_exists",
      want: failureJson(409, "AlreadyExists", `${RESOURCE} "a" already exists`, DETAILS),
    },
    {
      name: "alreadyExists, being deleted",
      error: alreadyExists(CSRS, "a", true),
      code: "already_exists",
      want: failureJson(409, "AlreadyExists", `object is being deleted: ${RESOURCE} "a" already exists`, DETAILS),
    },
    {
      name: "generateNameConflict",
      error: generateNameConflict(CSRS, "a"),
      code: "already_exists",
      want: failureJson(
        409,
        "AlreadyExists",
        `${RESOURCE} "a" already exists, the server was not able to generate a unique name for the object`,
        DETAILS.replace("}", ',"retryAfterSeconds":1}'),
      ),
    },
    {
      name: "conflict",
      error: conflict(CSRS, "a", "the object has been modified"),
      code: "conflict",
      want: failureJson(
        409,
        "Conflict",
        `Operation cannot be fulfilled on ${RESOURCE} "a": the object has been modified`,
        DETAILS,
      ),
    },
    {
      name: "applyConflict",
      error: applyConflict([{ reason: "FieldManagerConflict", message: "m", field: ".f" }], "Apply failed"),
      code: "conflict",
      want: failureJson(
        409,
        "Conflict",
        "Apply failed",
        '"details":{"causes":[{"reason":"FieldManagerConflict","message":"m","field":".f"}]}',
      ),
    },
    {
      name: "resourceExpired",
      error: resourceExpired("old"),
      code: "api_error",
      want: failureJson(410, "Expired", "old"),
    },
    {
      name: "resourceExpired, continue",
      error: resourceExpired("old", "token"),
      code: "api_error",
      want: '{"metadata":{"continue":"token"},"status":"Failure","message":"old","reason":"Expired","code":410}',
    },
    {
      name: "requestEntityTooLarge",
      error: requestEntityTooLarge("limit is 3145728"),
      code: "api_error",
      want: failureJson(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728"),
    },
    {
      name: "unprocessable",
      error: unprocessable(),
      code: "invalid",
      want: failureJson(
        422,
        "Invalid",
        "the server rejected our request due to an error in our request",
        '"details":{}',
      ),
    },
    {
      name: "internalError",
      error: internalError(new Error("disk")),
      code: "api_error",
      want: failureJson(
        500,
        "InternalError",
        "Internal error occurred: disk",
        '"details":{"causes":[{"message":"disk"}]}',
      ),
    },
    {
      name: "genericServerError",
      error: genericServerError("odd"),
      code: "api_error",
      want: failureJson(500, "", "odd"),
    },
    {
      name: "serviceUnavailable",
      error: serviceUnavailable("later"),
      code: "api_error",
      want: failureJson(503, "ServiceUnavailable", "later"),
    },
    {
      name: "timeout",
      error: timeout("slow", 0),
      code: "timeout",
      want: failureJson(504, "Timeout", "Timeout: slow", '"details":{}'),
    },
    {
      name: "tooLargeResourceVersion",
      error: tooLargeResourceVersion(9, 5),
      code: "timeout",
      want: failureJson(
        504,
        "Timeout",
        "Timeout: Too large resource version: 9, current: 5",
        '"details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],' +
          '"retryAfterSeconds":1}',
      ),
    },
  ]
) {
  test(`${name}() is Go's Status`, () => {
    assert.equal(JSON.stringify(error.status), want);
    assert.equal(error.code, code);
    assert.equal(error.message, error.status.message);
  });
  test(`errorFromStatus() reads back ${name}()`, () => {
    const wire: unknown = JSON.parse(JSON.stringify({ kind: "Status", apiVersion: "v1", ...error.status }));
    const read = errorFromStatus(error.status.code ?? 0, wire);
    assert.deepEqual(read.status, error.status);
    assert.equal(read.code, error.code);
    assert.equal(read.retryable, error.retryable);
  });
}

test("invalidObject() states one fault without brackets", () => {
  const error = invalidObject(CSR, "a", [requiredField("spec.usages")]);
  assert.equal(
    JSON.stringify(error.status),
    '{"metadata":{},"status":"Failure","message":"CertificateSigningRequest.certificates.k8s.io \\"a\\" is invalid: ' +
      'spec.usages: Required value","reason":"Invalid","details":{"name":"a","group":"certificates.k8s.io",' +
      '"kind":"CertificateSigningRequest","causes":[{"reason":"FieldValueRequired","message":"Required value",' +
      '"field":"spec.usages"}]},"code":422}',
  );
});

test("invalidObject() states each text once and keeps every cause", () => {
  const twice = forbiddenField("a", "no");
  const error = invalidObject({ group: "", kind: "Secret" }, "s", [twice, requiredField("b"), twice]);
  assert.equal(error.status.message, 'Secret "s" is invalid: [a: Forbidden: no, b: Required value]');
  assert.equal(error.status.details?.causes?.length, 3);
});

test("invalidObject() omits an empty kind and an empty field", () => {
  const error = invalidObject({ group: "authorization.k8s.io", kind: "" }, "", [invalid("", "x", "bad")]);
  assert.equal(error.status.message, '.authorization.k8s.io "" is invalid: : Invalid value: "x": bad');
  assert.deepEqual(error.status.details, {
    group: "authorization.k8s.io",
    causes: [{ reason: "FieldValueInvalid", message: 'Invalid value: "x": bad' }],
  });
});

test("invalidPatchedObject() has neither kind nor name", () => {
  assert.equal(
    invalidPatchedObject('{"a":1}', "boom").status.message,
    ' "" is invalid: patch: Invalid value: "{\\"a\\":1}": boom',
  );
});

for (
  const [kind, code] of [["badRequest", 400], ["unprocessable", 422], ["tooLarge", 413], ["internal", 500]] as const
) {
  test(`patchFailure() answers ${kind} with ${code}`, () => {
    assert.equal(patchFailure({ kind, message: "m" }).status.code, code);
  });
}

for (
  const [code, want] of [
    ["not_found", 404],
    ["conflict", 409],
    ["already_exists", 409],
    ["invalid", 400],
    ["unauthorized", 401],
    ["access_denied", 403],
    ["timeout", 504],
    ["unreachable", 503],
    ["storage_corrupt", 500],
    ["io", 500],
  ] as readonly (readonly [ErrorCode, number])[]
) {
  test(`statusFromError() answers ${code} with ${want}`, () => {
    const cause = new AppError(code, "cannot do it");
    const error = statusFromError(cause);
    assert.equal(error.status.code, want);
    assert.equal(error.cause, cause);
  });
}

test("statusFromError() keeps a StatusError", () => {
  const error = notFound(CSRS, "a");
  assert.equal(statusFromError(error), error);
});

test("statusFromError() reveals nothing about an untyped error", () => {
  const error = statusFromError(new TypeError("secret detail"));
  assert.equal(error.status.code, 500);
  assert.equal(error.status.message, "Internal error occurred: unexpected error");
});

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
