/** Finds other programs, and runs them to their end. */
import { access, constants } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { getErrorMessage } from "../core/errors.ts";
import { err, ok, type Result } from "../core/lib/result.ts";

/** Finds a program in the absolute folders of a PATH. */
export async function findProgram(name: string, path: string = ""): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter(isAbsolute)) {
    if (await isExecutable(join(folder, name))) return join(folder, name);
  }
  return undefined;
}

/** Reports whether this user may execute a file. */
export async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(() => true, () => false);
}

/** Runs a program to its end. Resolves with its stdout, or with the reason why it failed. */
export async function runToEnd(
  program: string,
  args: readonly string[],
  { input, ...options }: { readonly input?: Uint8Array; readonly timeout?: number; readonly signal?: AbortSignal } = {},
): Promise<Result<string, string>> {
  try {
    const running = promisify(execFile)(program, [...args], { ...options, cwd: "/" });
    // A program that ends before it has read its input reports the reason with its exit code.
    running.child.stdin?.on("error", () => {}).end(input);
    return ok((await running).stdout);
  } catch (error) {
    options.signal?.throwIfAborted();
    const { stderr = "", killed = false, signal } = error as { stderr?: string; killed?: boolean; signal?: string };
    if (killed) return err("it did not end in time");
    return err(stderr.trim() || (signal ? `it ended by ${signal}` : getErrorMessage(error)));
  }
}
