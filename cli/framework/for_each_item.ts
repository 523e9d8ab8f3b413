/** Runs an action for each item of one command line. */
import { AppError } from "../../core/errors.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import { reportError } from "./report.ts";
import type { Tools } from "../io.ts";

/** Calls `act` for every item, in order, and reports each failure. Returns `failed` when one or more of them failed. */
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
      // An unreachable server fails for all items alike.
      if (!(error instanceof AppError) || ["unreachable", "tls_untrusted", "unauthorized"].includes(error.code)) {
        throw error;
      }
      reportError(error, tools, tools.isDebug);
      code = EXIT.failed;
    }
  }
  return code;
}
