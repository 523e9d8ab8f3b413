/** Runs another program to its end. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { getErrorMessage } from "../core/errors.ts";
import { err, ok, type Result } from "../core/lib/result.ts";

/** Runs a program to its end; resolves with its stdout, or with the reason why it did not succeed. */
export async function runToEnd(
  program: string,
  args: readonly string[],
  { input, ...options }: { readonly input?: Uint8Array; readonly timeout?: number; readonly signal?: AbortSignal } = {},
): Promise<Result<string, string>> {
  try {
    const running = promisify(execFile)(program, [...args], { ...options, cwd: "/" });
    // A program that does not read all of its input reports the reason with its exit code.
    running.child.stdin?.on("error", () => {}).end(input);
    return ok((await running).stdout);
  } catch (error) {
    options.signal?.throwIfAborted();
    const { stderr = "", killed = false, signal } = error as { stderr?: string; killed?: boolean; signal?: string };
    if (killed) return err("it does not end");
    return err(stderr.trim() || (signal ? `it ended by ${signal}` : getErrorMessage(error)));
  }
}
