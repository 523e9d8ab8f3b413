/**
 * The error hierarchy. A failure of disk or network, or a bug, throws one of these; an outcome that callers must handle is a
 * `Result` instead. Messages read: *cannot* + verb + quoted thing + `:` + what is wrong.
 */

/** Stable, machine-readable error codes that are safe to switch over. */
export type ErrorCode =
  | "aborted"
  | "access_denied"
  | "already_exists"
  | "api_error"
  | "backup_invalid"
  | "ca_expired"
  | "ca_invalid"
  | "clock_not_set"
  | "clock_skew"
  | "config_invalid"
  | "conflict"
  | "credentials_missing"
  | "csr_denied"
  | "csr_failed"
  | "csr_deleted"
  | "csr_incompatible"
  | "file_exists"
  | "file_permissions"
  | "format_unknown"
  | "hook_failed"
  | "internal"
  | "invalid"
  | "io"
  | "key_invalid"
  | "key_program_failed"
  | "kubeconfig_invalid"
  | "not_found"
  | "passphrase_missing"
  | "passphrase_wrong"
  | "pki_invalid"
  | "port_in_use"
  | "share_invalid"
  | "storage_corrupt"
  | "storage_locked"
  | "timeout"
  | "tls_untrusted"
  | "token_file_invalid"
  | "token_invalid"
  | "unauthorized"
  | "unreachable"
  | "usage";

/** The optional properties of an error. */
export interface AppErrorOptions {
  /** The error that caused this one. */
  readonly cause?: unknown;
  /** The next step for the user, one imperative sentence without a period. */
  readonly hint?: string | undefined;
  /** Whether the same call may succeed later without any change. */
  readonly retryable?: boolean;
}

/** The base class of every typed error, distinguished by `code`. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = options.hint;
    this.retryable = options.retryable ?? false;
  }
}

/** Reports whether a caught value is a typed error with one of the given codes (any code when none is given). */
export function isAppError(value: unknown, ...codes: ErrorCode[]): value is AppError {
  return value instanceof AppError && (codes.length === 0 || codes.includes(value.code));
}

/** Returns the code of a system error, such as `ENOENT`; an empty string when it has none. */
export function findErrorCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** Returns the message of any thrown value. */
export function getErrorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
