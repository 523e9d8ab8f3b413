/**
 * Creates the errors that become a `meta/v1` Status, with the messages of apimachinery `pkg/api/errors/errors.go`, because
 * clients read them. The client converts a failed answer back to an error, with the Status in its body or with one that it
 * creates as client-go does. Only this file pairs reasons with codes.
 */
import { AppError, type ErrorCode, getErrorMessage, isAppError } from "../../errors.ts";
import { type FieldError, fitAnswer, formatFieldError, invalid } from "./field_error.ts";
import type { Status, StatusCause, StatusDetails } from "../meta.ts";
import type { PatchError } from "../patch/patch_result.ts";
import { goQuote } from "../../lib/go_text.ts";
import { isRecord, lookup, omitEmpty } from "../../lib/record.ts";
import { formatQualifiedKind, formatQualifiedResource } from "../schema.ts";
import { statusSchema } from "../kinds/meta_v1.ts";
import { decodeObject } from "../wire/object_json.ts";
import { DecodeError } from "../json_value.ts";

/** 400: the request cannot be understood. */
export function badRequest(message: string): StatusError {
  return failure(400, "BadRequest", message);
}

/** 401: the request has no valid credential. */
export function unauthorized(): StatusError {
  return failure(401, "Unauthorized", "Unauthorized");
}

/** 403: the user is known but not allowed; `why` is the text of the authorizer or of admission. */
export function forbidden(resource: ResourceName, name: string, why: string): StatusError {
  const label = resource.group === "" && resource.plural === "" ? "" : `${describeSubject(resource, name)} is `;
  return failure(403, "Forbidden", `${label}forbidden: ${why}`, createStatusDetails(resource, name));
}

/** 404: there is no object of that name. */
export function notFound(resource: ResourceName, name: string): StatusError {
  const message = `${describeNamedSubject(resource, name)} not found`;
  return failure(404, "NotFound", message, createStatusDetails(resource, name));
}

/** 404: the path is not served. */
export function pathNotFound(): StatusError {
  return failure(404, "NotFound", "the server could not find the requested resource", {});
}

/** 409: the name is taken; with `beingDeleted`, by an object that only waits for its finalizers. */
export function alreadyExists(resource: ResourceName, name: string, beingDeleted = false): StatusError {
  const prefix = beingDeleted ? "object is being deleted: " : "";
  const message = `${prefix}${describeNamedSubject(resource, name)} already exists`;
  return failure(409, "AlreadyExists", message, createStatusDetails(resource, name));
}

/** 409 for an object with a generateName: eight generated names were taken, or the name sent with it was. */
export function generateNameConflict(resource: ResourceName, name: string, beingDeleted = false): StatusError {
  const { status } = alreadyExists(resource, name, beingDeleted);
  const message = `${status.message}, the server was not able to generate a unique name for the object`;
  return failure(409, "AlreadyExists", message, { ...createStatusDetails(resource, name), ...createRetryDetails(1) });
}

/** 409: the object has changed in the meantime, or was replaced. */
export function conflict(resource: ResourceName, name: string, why: string): StatusError {
  const message = `Operation cannot be fulfilled on ${describeNamedSubject(resource, name)}: ${why}`;
  return failure(409, "Conflict", message, createStatusDetails(resource, name));
}

/** 409 of server-side apply: one cause for each field that another manager owns. */
export function applyConflict(causes: readonly StatusCause[], message: string): StatusError {
  return failure(409, "Conflict", message, omitEmpty({ causes }));
}

/** 410: the history does not reach back to the revision; `continueToken` continues from the newest state. */
export function resourceExpired(message: string, continueToken = ""): StatusError {
  return failure(410, "Expired", message, undefined, continueToken);
}

/** 422: the faults of an object, as many as fit. The message shows each text once; the causes keep repeats. */
export function invalidObject(kind: KindName, name: string, errors: Iterable<FieldError>): StatusError {
  const reported = fitAnswer(errors);
  const causes = reported.map(({ type: reason, message, field }) => ({ reason, message, ...omitEmpty({ field }) }));
  const texts = [...new Set(reported.map(formatFieldError))];
  const joined = texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
  const message = `${formatQualifiedKind(kind)} ${goQuote(name)} is invalid${texts.length === 0 ? "" : `: ${joined}`}`;
  return failure(422, "Invalid", message, omitEmpty({ name, group: kind.group, kind: kind.kind, causes }));
}

/** 422 without a detail, the answer to a JSON patch that cannot be applied. */
export function unprocessable(): StatusError {
  return failure(422, "Invalid", "the server rejected our request due to an error in our request", {});
}

/** 422: the patched object cannot be decoded, or has fields it must not have (`fieldValidation=Strict`). */
export function invalidPatchedObject(patchedJson: string, why: string): StatusError {
  return invalidObject({ group: "", kind: "" }, "", [invalid("patch", patchedJson, why)]);
}

/** Converts the failure of a patch to the error that answers it. */
export function patchFailure(error: PatchError): StatusError {
  switch (error.kind) {
    case "badRequest":
      return badRequest(error.message);
    case "unprocessable":
      return unprocessable();
    case "tooLarge":
      return requestEntityTooLarge(error.message);
    case "internal":
      return genericServerError(error.message);
  }
}

/** 406: the client accepts none of the media types of the response. */
export function notAcceptable(mediaTypes: readonly string[]): StatusError {
  return failure(406, "NotAcceptable", `only the following media types are accepted: ${mediaTypes.join(", ")}`);
}

/** 415: the content type of the body is not supported. */
export function unsupportedMediaType(mediaTypes: readonly string[]): StatusError {
  const message = "the body of the request was in an unknown format - accepted media types include: " +
    mediaTypes.join(", ");
  return failure(415, "UnsupportedMediaType", message);
}

/** 413: the body is too large; `message` states the limit, such as `limit is 3145728`. */
export function requestEntityTooLarge(message: string): StatusError {
  return failure(413, "RequestEntityTooLarge", `Request entity too large: ${message}`);
}

/** 429: the client may try again after some seconds. */
export function tooManyRequests(message: string, retryAfterSeconds: number): StatusError {
  return failure(429, "TooManyRequests", message, createRetryDetails(retryAfterSeconds));
}

/** 500 with a reason; the client sees the message, so it must contain no secret. */
export function internalError(error: unknown): StatusError {
  const text = getErrorMessage(error);
  const details = { causes: [{ message: text }] };
  return new StatusError(createFailureStatus(500, "InternalError", `Internal error occurred: ${text}`, details), {
    cause: error,
  });
}

/** An error that upstream lets through untyped: 500, no reason, no details. */
export function genericServerError(message: string): StatusError {
  return failure(500, "", message);
}

/** 503: the server cannot handle the request at the moment. */
export function serviceUnavailable(message: string): StatusError {
  return failure(503, "ServiceUnavailable", message);
}

/** 504: the operation may still complete. */
export function timeout(message: string, retryAfterSeconds: number): StatusError {
  return failure(504, "Timeout", `Timeout: ${message}`, createRetryDetails(retryAfterSeconds));
}

/** 504: the client requests a revision that the store has not reached. */
export function tooLargeResourceVersion(
  requested: number | string,
  current: number | string,
  retryAfterSeconds = 1,
): StatusError {
  const message = `Timeout: Too large resource version: ${requested}, current: ${current}`;
  const causes = [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }];
  return failure(504, "Timeout", message, { causes, ...createRetryDetails(retryAfterSeconds) });
}

/**
 * Converts any error to a StatusError. An error that is not an AppError becomes a 500 without its message (the caller
 * logs it as a bug).
 */
export function statusFromError(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  if (!isAppError(error)) {
    return failureWithCause(500, "InternalError", "Internal error occurred: unexpected error", error);
  }
  const found = STATUS_OF_CODE[error.code];
  if (found !== undefined) return failureWithCause(found[0], found[1], error.message, error);
  return failureWithCause(500, "InternalError", `Internal error occurred: ${error.message}`, error);
}

/** The error codes that have an HTTP status; the others are answered with 500. */
const STATUS_OF_CODE: { readonly [code in ErrorCode]?: readonly [number, string] } = {
  access_denied: [403, "Forbidden"],
  already_exists: [409, "AlreadyExists"],
  conflict: [409, "Conflict"],
  invalid: [400, "BadRequest"],
  not_found: [404, "NotFound"],
  storage_locked: [503, "ServiceUnavailable"],
  timeout: [504, "Timeout"],
  unauthorized: [401, "Unauthorized"],
  unreachable: [503, "ServiceUnavailable"],
};

function failure(
  code: number,
  reason: string,
  message: string,
  details?: StatusDetails,
  continueToken?: string,
): StatusError {
  return new StatusError(createFailureStatus(code, reason, message, details, continueToken));
}

function failureWithCause(code: number, reason: string, message: string, cause: unknown): StatusError {
  return new StatusError(createFailureStatus(code, reason, message), { cause });
}

function createRetryDetails(seconds: number): StatusDetails {
  return seconds === 0 ? {} : { retryAfterSeconds: seconds };
}

function describeNamedSubject(resource: ResourceName, name: string): string {
  return `${formatQualifiedResource(resource)} ${goQuote(name)}`;
}

function describeSubject(resource: ResourceName, name: string): string {
  return name === "" ? formatQualifiedResource(resource) : describeNamedSubject(resource, name);
}

/** The failed request, for the message of a synthesized Status. */
export interface FailedRequest {
  /** The HTTP method in upper case. */
  readonly method?: string;
  readonly resource?: ResourceName;
  readonly name?: string;
  /** The value of the header `Retry-After`. */
  readonly retryAfterSeconds?: number;
}

/**
 * Converts a failed HTTP answer to an error. A Status is synthesized for any other body, as in client-go
 * (`rest/request.go`, apimachinery `NewGenericServerResponse`).
 *
 * @param body parsed JSON, or text when it is not JSON
 */
export function errorFromStatus(httpStatus: number, body: unknown, request: FailedRequest = {}): StatusError {
  const status = decodeStatus(body);
  if (status !== undefined && status.status === "Failure") {
    return new StatusError(status.code === undefined ? { ...status, code: httpStatus } : status);
  }
  return new StatusError(synthesize(httpStatus, body, request));
}

/** Decodes a Status to canonical form without `kind` and `apiVersion`; undefined if the value is no Status. */
function decodeStatus(value: unknown): Status | undefined {
  if (!isRecord(value) || value["kind"] !== "Status") return undefined;
  if (value["apiVersion"] !== "v1" && value["apiVersion"] !== "meta.k8s.io/v1") return undefined;
  try {
    return decodeObject(statusSchema, value).object as unknown as Status;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/** The number of characters that client-go keeps of a text body. */
const MAX_TEXT_LENGTH = 2048;

function synthesize(code: number, body: unknown, request: FailedRequest): Status {
  const { method = "", resource = NO_RESOURCE, name = "", retryAfterSeconds = 0 } = request;
  const serverMessage = typeof body === "string" && body.trim() !== ""
    ? body.trim().slice(0, MAX_TEXT_LENGTH)
    : "unknown";
  const [reason, message] = describe(code, method, serverMessage);
  const target = formatQualifiedResource(resource);
  const operation = target === ""
    ? ""
    : ` (${[method.toLowerCase(), target, name].filter((part) => part !== "").join(" ")})`;
  return createFailureStatus(code, reason, `${message}${operation}`, {
    ...createStatusDetails(resource, name),
    causes: [{ reason: "UnexpectedServerResponse", message: serverMessage }],
    ...createRetryDetails(retryAfterSeconds),
  });
}

/** The reason and the message for an answer without a Status, by HTTP status. The server's text is the default message. */
const ANSWERS: Readonly<Record<number, readonly [reason: string, message?: string]>> = {
  400: ["BadRequest", "the server rejected our request for an unknown reason"],
  401: ["Unauthorized", "the server has asked for the client to provide credentials"],
  403: ["Forbidden"],
  404: ["NotFound", "the server could not find the requested resource"],
  405: ["MethodNotAllowed", "the server does not allow this method on the requested resource"],
  406: ["NotAcceptable"],
  409: ["Conflict", "the server reported a conflict"],
  415: ["UnsupportedMediaType"],
  422: ["Invalid", "the server rejected our request due to an error in our request"],
  429: ["TooManyRequests", "the server has received too many requests and has asked us to try again later"],
  503: ["ServiceUnavailable", "the server is currently unable to handle the request"],
  504: [
    "Timeout",
    "the server was unable to return a response in the time allotted, but may still be processing the request",
  ],
};

function describe(code: number, method: string, serverMessage: string): readonly [string, string] {
  const [reason, message = serverMessage] = ANSWERS[code] ?? [];
  if (reason === undefined) {
    return code >= 500
      ? [
        "InternalError",
        `an error on the server (${goQuote(serverMessage)}) has prevented the request from succeeding`,
      ]
      : ["", `the server responded with the status code ${code} but did not return more information`];
  }
  if (code === 406 && serverMessage === "unknown") {
    return [reason, "the server was unable to respond with a content type that the client supports"];
  }
  return [code === 409 && method === "POST" ? "AlreadyExists" : reason, message];
}

/** The resource in a Status. */
export interface ResourceName {
  readonly group: string;
  readonly plural: string;
}

/** The kind in a Status about an invalid object. */
export interface KindName {
  readonly group: string;
  readonly kind: string;
}

/** The resource of a request for a path, or of an unknown one. */
export const NO_RESOURCE: ResourceName = { group: "", plural: "" };

/** Properties that a StatusError may have in addition to its Status. */
export interface StatusErrorOptions {
  readonly cause?: unknown;
  /** Extra response headers, names lower-case. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A failure with its exact Status, as the server sends it and as the client received it. */
export class StatusError extends AppError {
  /** Canonical, without `kind` and `apiVersion`. */
  readonly status: Status;
  readonly headers?: Readonly<Record<string, string>>;

  constructor(status: Status, options: StatusErrorOptions = {}) {
    super(getErrorCode(status), status.message ?? "", { cause: options.cause, retryable: isRetryable(status) });
    this.status = status;
    if (options.headers !== undefined) this.headers = options.headers;
  }
}

/** The error code of each reason that has a specific one. */
const CODE_OF_REASON: Readonly<Record<string, ErrorCode>> = {
  AlreadyExists: "already_exists",
  BadRequest: "invalid",
  Conflict: "conflict",
  Forbidden: "access_denied",
  Invalid: "invalid",
  NotFound: "not_found",
  Timeout: "timeout",
  Unauthorized: "unauthorized",
};

/** The error code of each HTTP status, for a Status without a reason. */
const CODE_OF_HTTP: Readonly<Record<number, ErrorCode>> = {
  400: "invalid",
  401: "unauthorized",
  403: "access_denied",
  404: "not_found",
  409: "conflict",
  422: "invalid",
  504: "timeout",
};

/** Returns the error code of a Status: by its reason, or by its HTTP status if it has no reason. */
function getErrorCode(status: Status): ErrorCode {
  const reason = status.reason ?? "";
  if (reason !== "") return lookup(CODE_OF_REASON, reason) ?? "api_error";
  return CODE_OF_HTTP[status.code ?? 0] ?? "api_error";
}

/** Creates the Status of a failure, in the order of Go's fields. */
export function createFailureStatus(
  code: number,
  reason: string,
  message: string,
  details?: StatusDetails,
  continueToken = "",
): Status {
  return {
    metadata: continueToken === "" ? {} : { continue: continueToken },
    status: "Failure",
    ...omitEmpty({ message, reason, details }),
    code,
  };
}

/** Creates the details of a Status from name, group and resource, without empty ones. */
function createStatusDetails(resource: ResourceName, name: string): StatusDetails {
  return omitEmpty({ name, group: resource.group, kind: resource.plural });
}

/** Reports whether the same request may succeed later: the server or a gateway was overloaded or unavailable. */
function isRetryable(status: Status): boolean {
  if ((status.details?.retryAfterSeconds ?? 0) > 0 || status.reason === "ServerTimeout") return true;
  return [429, 502, 503, 504].includes(status.code ?? 0);
}
