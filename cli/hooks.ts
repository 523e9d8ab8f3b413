/** Hooks after a change of a file: the shell command of `--exec`, and signals to the processes in pid files. */
import { spawn } from "node:child_process";
import { kill } from "node:process";
import type { FilePort } from "../client/files.ts";
import type { PairChange } from "../client/keep_machine_fresh.ts";
import { limitTime } from "../client/transport/time_limit.ts";
import { AppError, getErrorMessage } from "../core/errors.ts";
import { formatTime } from "../core/kube/meta.ts";
import type { Io, Tools } from "./io.ts";

/** A signal, and the pid file of the process to send it to. */
export interface SignalHook {
  readonly signal: NodeJS.Signals;
  readonly pidFile: string;
}

/** The time limit of a command, so that a hanging command does not block the next change. */
const EXEC_LIMIT_MS = 5 * 60_000;

/** Runs a shell command with additional environment variables and its output on stderr. Returns the reason if it fails. */
export async function runHookCommand(
  command: string,
  environment: Readonly<Record<string, string>>,
  io: Io,
  signal: AbortSignal,
): Promise<string | undefined> {
  return await findFault(() => runCommand(command, environment, io, signal), signal);
}

async function findFault(operation: () => Promise<void>, signal: AbortSignal): Promise<string | undefined> {
  try {
    await operation();
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return getErrorMessage(error);
  }
}

async function runCommand(
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

/** Creates the error for hooks that failed after `what` was stored. */
export function createHookError(what: string, faults: readonly string[]): AppError {
  return new AppError("hook_failed", `${what} is stored, but ${faults.join("; ")}`, {
    hint: "fix the hook and run it by hand, because it is not repeated before the next change",
  });
}

interface Hooks {
  readonly exec: string | undefined;
  /** The signals to send. The paths of the pid files are absolute. */
  readonly signals: readonly SignalHook[];
}

/** The tools of hooks, and the name of the node. */
interface HookTools extends Tools {
  readonly nodeName: string;
}

/** Runs all hooks, even after a failure, and returns the failures. The certificate has already been stored. */
export async function runHooks(
  { exec, signals }: Hooks,
  { purpose, pair, certificatePath }: PairChange,
  tools: HookTools,
): Promise<readonly string[]> {
  const { files, nodeName, signal } = tools;
  const faults: (string | undefined)[] = [];
  for (const hook of signals) faults.push(await findFault(() => sendSignal(hook, files), signal));
  const environment = {
    TLSBOOT_CHANGED: purpose,
    TLSBOOT_CERTIFICATE_FILE: certificatePath,
    TLSBOOT_NOT_AFTER: formatTime(pair.leaf.notAfter),
    TLSBOOT_NODE_NAME: nodeName,
  };
  if (exec !== undefined) faults.push(await runHookCommand(exec, environment, tools, signal));
  return faults.filter((fault) => fault !== undefined);
}

async function sendSignal({ signal, pidFile }: SignalHook, files: FilePort): Promise<void> {
  const doing = `cannot send ${signal} to the process in "${pidFile}"`;
  const text = (await files.readText(pidFile))?.trim();
  if (text === undefined) throw new Error(`${doing}: file does not exist`);
  // 0, 1 and negative numbers mean process groups, init and all processes.
  if (!/^[1-9]\d{0,9}$/.test(text) || text === "1") throw new Error(`${doing}: it contains no process id`);
  try {
    kill(Number(text), signal);
  } catch (error) {
    throw new Error(`${doing}: ${getErrorMessage(error)}`);
  }
}

/** Runs the hooks for a change, and resolves with the failures. */
export type HookRunner = (change: PairChange) => Promise<readonly string[]>;
