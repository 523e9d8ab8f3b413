/** Hooks after a certificate change: a shell command, and signals to the processes of pid files. */
import { kill } from "node:process";
import type { FilePort } from "../../../client/files.ts";
import { getErrorMessage } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { runHookCommand } from "../../hook_command.ts";
import type { Io } from "../../io.ts";
import type { SignalHook } from "./flags.ts";
import type { PairChange } from "./machine.ts";

/** The command and the signals after a change. */
export interface Hooks {
  readonly exec: string | undefined;
  /** The signals to send, with absolute paths of the pid files. */
  readonly signals: readonly SignalHook[];
}

/** The adapters of hooks, and the name of the node. */
export interface HookTools {
  readonly io: Io;
  readonly files: FilePort;
  readonly nodeName: string;
}

/** Runs every hook, even after a failure, and returns the failures. The certificate is stored in any case. */
export async function runHooks(
  hooks: Hooks,
  change: PairChange,
  tools: HookTools,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const faults: string[] = [];
  const attempt = async (operation: () => Promise<void>): Promise<void> => {
    try {
      await operation();
    } catch (error) {
      signal.throwIfAborted();
      faults.push(getErrorMessage(error));
    }
  };
  for (const hook of hooks.signals) await attempt(() => sendSignal(hook, tools.files));
  const { exec } = hooks;
  if (exec !== undefined) {
    await attempt(() => runHookCommand(exec, createHookEnvironment(change, tools), tools.io, signal));
  }
  return faults;
}

async function sendSignal({ signal, pidFile }: SignalHook, files: FilePort): Promise<void> {
  const doing = `cannot send ${signal} to the process in "${pidFile}"`;
  const text = (await files.readText(pidFile))?.trim();
  if (text === undefined) throw new Error(`${doing}: file does not exist`);
  // 0, 1 and negative numbers mean process groups, init and all processes.
  if (!/^[1-9]\d{0,9}$/.test(text) || text === "1") throw new Error(`${doing}: it holds no process id`);
  try {
    kill(Number(text), signal);
  } catch (error) {
    throw new Error(`${doing}: ${getErrorMessage(error)}`);
  }
}

/** Returns the environment variables that a command gets in addition to those of this program. */
function createHookEnvironment(
  { purpose, pair, certificatePath }: PairChange,
  { nodeName }: Pick<HookTools, "nodeName">,
): Readonly<Record<string, string>> {
  return {
    TLSBOOT_CHANGED: purpose,
    TLSBOOT_CERTIFICATE_FILE: certificatePath,
    TLSBOOT_NOT_AFTER: formatTime(pair.leaf.notAfter),
    TLSBOOT_NODE_NAME: nodeName,
  };
}

/** Runs the hooks for a change and resolves with the failures. */
export type HookRunner = (change: PairChange) => Promise<readonly string[]>;
