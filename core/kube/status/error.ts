/** The error that carries a Status. */
import { AppError, type ErrorCode } from "../../errors.ts";
import { lookup, omitEmpty } from "../../lib/record.ts";
import type { Status, StatusDetails } from "../meta.ts";

/** A resource as a Status names it. */
export interface ResourceName {
  readonly group: string;
  readonly plural: string;
}

/** A kind as a Status about invalid objects names it. */
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

/** The error code of an HTTP status whose Status names no reason of the table above. */
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
export function getErrorCode(status: Status): ErrorCode {
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
export function createStatusDetails(resource: ResourceName, name: string): StatusDetails {
  return omitEmpty({ name, group: resource.group, kind: resource.plural });
}

/** Reports whether the same request may succeed later: the server or a gateway was overloaded or unavailable. */
function isRetryable(status: Status): boolean {
  if ((status.details?.retryAfterSeconds ?? 0) > 0 || status.reason === "ServerTimeout") return true;
  return [429, 502, 503, 504].includes(status.code ?? 0);
}
