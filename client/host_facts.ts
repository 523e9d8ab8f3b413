/** Reads the names and addresses of this host, for `core/machine/node_name.ts`. */
import { lookup } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import { type HostFacts, type NodeName, parseDefaultInterfaces } from "../core/machine/node_name.ts";
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
