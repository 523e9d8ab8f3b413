/** Finds other programs, runs them to their end, and finds the process that listens on a TCP port. */
import { access, constants, readdir, readFile, readlink } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import type { ProcessEvidence } from "../core/report/health/host.ts";
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

/** The state of a listening socket (kernel `include/net/tcp_states.h`). */
const LISTENING = "0A";

/**
 * Finds the process that listens on a port, in Linux's `/proc` (proc_net(5)). Undefined when there is none, when it
 * belongs to another user, and on other systems.
 */
export async function findListener(port: number): Promise<ProcessEvidence | undefined> {
  const tables = ["/proc/net/tcp", "/proc/net/tcp6"].map((path) => readFile(path, "utf8").catch(() => ""));
  const sockets = listSockets((await Promise.all(tables)).join("\n"), port);
  if (sockets.size === 0) return undefined;
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      if (!sockets.has(target)) continue;
      const command = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ").trim();
      return { pid: Number(pid), command };
    }
  }
  return undefined;
}

/** Lists the sockets of a table such as `/proc/net/tcp` that listen on a port, as the links in `/proc/PID/fd` name them. */
export function listSockets(table: string, port: number): ReadonlySet<string> {
  const rows = table.split("\n").map((row) => row.trim().split(/\s+/));
  const own = rows.filter(([, local = "", , state]) =>
    state === LISTENING && parseInt(local.split(":")[1] ?? "", 16) === port
  );
  return new Set(own.map((row) => `socket:[${row[9]}]`));
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
