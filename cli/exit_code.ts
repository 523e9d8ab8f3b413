/** Exit codes, and the error for wrong usage. Scripts rely on the codes, so each means the same for every command. */
import { AppError, isAppError } from "../core/errors.ts";

/** The exit codes by their meaning. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  /** The answer is no: denied, refused, not ready, expired. */
  no: 3,
  /** Interrupted by SIGINT or SIGTERM; 128 + 2, as shells count signals. */
  interrupted: 130,
} as const;

/** One of the exit codes in {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The meaning of each code in help, unless a command describes it more precisely. */
export const EXIT_MEANING: Readonly<Record<ExitCode, string>> = {
  0: "done",
  1: "failed",
  2: "wrong usage",
  3: "the answer is no",
  130: "interrupted",
};

/** Returns the exit code for a failure. `signal` aborts when the user interrupts the program. */
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
      // A request that was not decided in time counts as a no, but a server that did not answer in time is a failure.
      return error.retryable ? EXIT.failed : EXIT.no;
    case "aborted":
      return EXIT.interrupted;
    default:
      return EXIT.failed;
  }
}

/** The command line, the environment or the configuration file is wrong. */
export class UsageError extends AppError {
  constructor(message: string, hint?: string) {
    super("usage", message, { hint });
  }
}
