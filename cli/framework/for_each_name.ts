/** Runs an action for several names on one command line. */
import { AppError } from "../../core/errors.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import { reportError } from "./report.ts";
import type { Tools } from "../io.ts";

/** Calls `act` for every name, in order, and reports each failure. Returns `failed` when one or more of them failed. */
export async function forEachName(
  names: readonly string[],
  act: (name: string) => Promise<void>,
  tools: Pick<Tools, "stderr" | "env" | "isDebug" | "signal">,
): Promise<ExitCode> {
  let code: ExitCode = EXIT.done;
  for (const name of names) {
    try {
      await act(name);
    } catch (error) {
      tools.signal.throwIfAborted();
      // An unreachable server fails for all names alike.
      if (!(error instanceof AppError) || ["unreachable", "tls_untrusted", "unauthorized"].includes(error.code)) {
        throw error;
      }
      reportError(error, tools, tools.isDebug);
      code = EXIT.failed;
    }
  }
  return code;
}
