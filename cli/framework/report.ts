/**
 * Messages on stderr: warnings, and errors with a hint and, with `--debug`, their causes. `forEachItem` reports the error
 * of each item of a command line that fails.
 */
import { AppError, type ErrorCode, getErrorMessage } from "../../core/errors.ts";
import type { Io, Tools } from "../io.ts";
import { escapeValue } from "../../core/lib/printable.ts";
import { nameFlags } from "./flags.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import { createStyle } from "../output/layout.ts";

/** Hints for errors that come without a hint. */
const HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  unauthorized:
    "the server does not accept the credentials in the kubeconfig, which may have expired or been revoked: ask an " +
    "administrator of the server for new ones, or give another kubeconfig with --kubeconfig; an administrator gets one " +
    "on the server's machine with: tlsboot kubeconfig admin, and after a revocation of its user with another name: " +
    "tlsboot kubeconfig admin --user NAME --out FILE",
};

/** The largest number of causes to print. A longer chain is a loop. */
const MAX_CAUSES = 10;

/** Prints an error on stderr, as `tlsboot: error:` and `tlsboot: hint:`. */
export function reportError(error: unknown, io: Pick<Io, "stderr" | "env">, isDebug: boolean): void {
  const style = createStyle(io.stderr, io.env);
  const lines = nameFlags(getErrorMessage(error)).split("\n");
  for (const line of lines) io.stderr.write(`tlsboot: ${style.red("error:")} ${escapeValue(line)}\n`);
  const hint = findHint(error, isDebug);
  if (hint !== undefined) io.stderr.write(`tlsboot: ${style.cyan("hint:")} ${escapeValue(nameFlags(hint))}\n`);
  if (!isDebug) return;
  let cause = error instanceof Error ? error.cause : undefined;
  for (let depth = 0; cause !== undefined && depth < MAX_CAUSES; depth++) {
    io.stderr.write(`tlsboot: cause: ${escapeValue(nameFlags(getErrorMessage(cause)))}\n`);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  if (!(error instanceof AppError) && error instanceof Error) io.stderr.write(`${error.stack ?? ""}\n`);
}

function findHint(error: unknown, isDebug: boolean): string | undefined {
  if (error instanceof AppError) return error.hint ?? HINTS[error.code];
  return isDebug ? undefined : "this is a bug in tlsboot: run the command again with --debug and report what it prints";
}

/** Prints a warning on stderr, as one line. */
export function warn(text: string, io: Pick<Io, "stderr" | "env">): void {
  io.stderr.write(`tlsboot: ${createStyle(io.stderr, io.env).yellow("warning:")} ${escapeValue(nameFlags(text))}\n`);
}

/** Calls `act` for each item in order, and reports the failures. Returns `failed` if there was one. */
export async function forEachItem<T>(
  items: Iterable<T>,
  act: (item: T) => Promise<void>,
  tools: Pick<Tools, "stderr" | "env" | "isDebug" | "signal">,
): Promise<ExitCode> {
  let code: ExitCode = EXIT.done;
  for (const item of items) {
    try {
      await act(item);
    } catch (error) {
      tools.signal.throwIfAborted();
      if (!isItemError(error)) throw error;
      reportError(error, tools, tools.isDebug);
      code = EXIT.failed;
    }
  }
  return code;
}

/** Reports whether an error concerns one item only. An unreachable server, for example, fails all items in the same way. */
export function isItemError(error: unknown): error is AppError {
  return error instanceof AppError && !["unreachable", "tls_untrusted", "unauthorized"].includes(error.code);
}
