/** Exit codes: a contract with scripts, the same for every command. */
import { AppError, isAppError } from "../core/errors.ts";

/** The codes and their meaning. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  /** A clear "no": denied, not ready, expired. */
  no: 3,
  /** By SIGINT or SIGTERM; 128 + 2 as shells count. */
  interrupted: 130,
} as const;

/** One of the codes. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** What a code means unless a command says it more precisely. */
export const EXIT_MEANING: Readonly<Record<ExitCode, string>> = {
  0: "done",
  1: "failed",
  2: "wrong usage",
  3: "a clear no",
  130: "interrupted",
};

/** The exit code that a failure ends with. */
export function toExitCode(error: unknown, signal: AbortSignal): ExitCode {
  if (signal.aborted && (error === signal.reason || isAppError(error, "aborted"))) return EXIT.interrupted;
  if (!(error instanceof AppError)) return EXIT.failed;
  switch (error.code) {
    case "usage":
    case "config_invalid":
      return EXIT.usage;
    case "csr_denied":
    case "csr_failed":
      return EXIT.no;
    case "timeout":
      // Nobody decided in time is a no; a server that did not answer in time is a failure.
      return error.retryable ? EXIT.failed : EXIT.no;
    case "aborted":
      return EXIT.interrupted;
    default:
      return EXIT.failed;
  }
}
