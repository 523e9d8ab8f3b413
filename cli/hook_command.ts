/** The shell command that a user gives with `--exec`, to run after each change of a file. */
import { spawn } from "node:child_process";
import { limitTime } from "../client/transport/time_limit.ts";
import { AppError } from "../core/errors.ts";
import type { Io } from "./io.ts";

/** The time limit of a command, so that a hanging one does not block the next change. */
const EXEC_LIMIT_MS = 5 * 60_000;

/** Runs a command with more environment variables, and its output on stderr. Throws an Error when it fails. */
export async function runHookCommand(
  command: string,
  environment: Readonly<Record<string, string>>,
  io: Io,
  signal: AbortSignal,
): Promise<void> {
  const doing = `cannot run "${command}"`;
  const tooLate = () => new Error(`${doing}: still running after ${EXEC_LIMIT_MS / 60_000} minutes, killed`);
  await using limit = limitTime(io.clock, EXEC_LIMIT_MS, tooLate, signal);
  await new Promise<void>((resolve, reject) => {
    const child = spawn(command, {
      shell: true,
      cwd: io.cwd,
      env: { ...io.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => io.stderr.write(text));
    }
    const onAbort = (): void => {
      child.kill("SIGKILL");
      reject(limit.signal.reason);
    };
    limit.signal.addEventListener("abort", onAbort, { once: true });
    const settle = (end: () => void): void => {
      limit.signal.removeEventListener("abort", onAbort);
      end();
    };
    child.once("error", (error) => settle(() => reject(new Error(`${doing}: ${error.message}`))));
    child.once("close", (code, killedBy) => {
      const how = code === null ? `ended by ${killedBy}` : `exit code ${code}`;
      settle(() => code === 0 ? resolve() : reject(new Error(`${doing}: ${how}`)));
    });
  });
}

/** Creates the error of a run whose hooks failed after it has stored `what`. */
export function createHookError(what: string, faults: readonly string[]): AppError {
  return new AppError("hook_failed", `${what} is stored, but ${faults.join("; ")}`, {
    hint: "fix the hook and run it by hand, because it is not repeated before the next change",
  });
}
