/** Converts a failed HTTP answer to an error: with the Status it holds, or with the one that client-go makes up. */
import { isRecord } from "../../lib/record.ts";
import { statusSchema } from "../kinds/meta_v1.ts";
import type { Status } from "../meta.ts";
import { DecodeError, decodeObject } from "../wire/decode.ts";
import { goQuote } from "../../lib/quote.ts";
import { formatQualifiedResource } from "../schema.ts";
import { createFailureStatus, createStatusDetails, NO_RESOURCE, type ResourceName, StatusError } from "./error.ts";

/** The request that failed, for the message of a made-up Status. */
export interface FailedRequest {
  /** The HTTP method in upper case. */
  readonly method?: string;
  readonly resource?: ResourceName;
  readonly name?: string;
  /** The value of the header `Retry-After`. */
  readonly retryAfterSeconds?: number;
}

/**
 * Converts a failed HTTP answer to an error. A body that is no Status is replaced as client-go does
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
export function decodeStatus(value: unknown): Status | undefined {
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
  const asked = target === ""
    ? ""
    : ` (${[method.toLowerCase(), target, name].filter((part) => part !== "").join(" ")})`;
  return createFailureStatus(code, reason, `${message}${asked}`, {
    ...createStatusDetails(resource, name),
    causes: [{ reason: "UnexpectedServerResponse", message: serverMessage }],
    ...(retryAfterSeconds === 0 ? {} : { retryAfterSeconds }),
  });
}

/** The reason and the message of an answer without a Status, by its code; without a message, that of the server. */
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
