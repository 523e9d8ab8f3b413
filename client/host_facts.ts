/** Reads the names and addresses of this host, for `core/machine/node_name.ts`, and finds the process on a TCP port. */
import { lookup } from "node:dns/promises";
import { readdir, readFile, readlink } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { type HostFacts, type NodeName, parseDefaultInterfaces } from "../core/machine/node_name.ts";
import type { ProcessEvidence } from "../core/report/health/host.ts";
import type { FilePort } from "./files.ts";

/** Reads the facts about this host. Those that the system does not report are omitted. */
export async function readHostFacts(nodeName: NodeName, files: Pick<FilePort, "readText">): Promise<HostFacts> {
  const [resolved, interfaces] = await Promise.all([
    lookup(nodeName, { all: true, order: "verbatim" }).catch(() => []),
    readInterfaces(files),
  ]);
  return { hostname: nodeName, resolved: resolved.map(({ address }) => address), ...interfaces };
}

/** Reads the network interfaces that are up, and the names of those with a default route. */
export async function readInterfaces(
  files: Pick<FilePort, "readText">,
): Promise<Pick<HostFacts, "interfaces" | "defaultInterfaces">> {
  const [ipv4Routes, ipv6Routes] = await Promise.all([
    readTable("/proc/net/route", files),
    readTable("/proc/net/ipv6_route", files),
  ]);
  return {
    interfaces: Object.entries(networkInterfaces()).map(([name, entries = []]) => ({
      name,
      addresses: entries.map(({ address }) => address),
    })),
    defaultInterfaces: parseDefaultInterfaces(ipv4Routes, ipv6Routes),
  };
}

/** Reads a table of routes; empty except on Linux. */
async function readTable(path: string, files: Pick<FilePort, "readText">): Promise<string> {
  return await files.readText(path).catch(() => undefined) ?? "";
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
