/** Facts about the processes of this computer, from Linux' `/proc`; nothing on other systems. */
import { readdir, readFile, readlink } from "node:fs/promises";
import type { OpenFilesEvidence, ProcessEvidence } from "../../../core/doctor/host.ts";

/** The state of a listening socket in `/proc/net/tcp` (kernel `include/net/tcp_states.h`). */
const LISTENING = "0A";

/** Finds the process that listens on a TCP port; undefined when there is none, or when it belongs to another user. */
export async function findListener(port: number): Promise<ProcessEvidence | undefined> {
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    const text = await readFile(table, "utf8").catch(() => "");
    for (const row of text.split("\n").slice(1)) {
      const [, local = "", , state, , , , , , inode = ""] = row.trim().split(/\s+/);
      if (state === LISTENING && parseInt(local.split(":")[1] ?? "", 16) === port) inodes.add(`socket:[${inode}]`);
    }
  }
  if (inodes.size === 0) return undefined;
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      if (!inodes.has(target)) continue;
      const command = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ").trim();
      return { pid: Number(pid), command };
    }
  }
  return undefined;
}

/** Reads how many files a process has open, and its limits; undefined when they cannot be read. */
export async function readOpenFiles(pid: number): Promise<OpenFilesEvidence | undefined> {
  const limits = await readFile(`/proc/${pid}/limits`, "utf8").catch(() => "");
  const [, soft = "", hard = ""] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits) ?? [];
  const open = await readdir(`/proc/${pid}/fd`).catch(() => undefined);
  if (soft === "" || open === undefined) return undefined;
  const parse = (text: string): number => text === "unlimited" ? Infinity : Number(text);
  return { pid, open: open.length, softLimit: parse(soft), hardLimit: parse(hard) };
}
