/**
 * Finds what a process listens on, as the kernel reports it: TCP, UDP and UNIX sockets, of the process and its
 * children.
 */
import { readdir, readFile, readlink } from "node:fs/promises";

/** A socket that listens for connections. */
export interface ListeningSocket {
  readonly kind: "tcp" | "udp" | "unix";
  /** `127.0.0.1:6443`, or the path of a UNIX socket. */
  readonly at: string;
}

const LISTENING = "0A";
/** Bound datagram sockets have no state of their own. */
const UNCONNECTED = "07";

/** Reads them from `/proc`; Linux only. */
export async function readListening(pid: number): Promise<readonly ListeningSocket[]> {
  const pids = await withChildren(pid);
  const inodes = new Set((await Promise.all(pids.map(socketInodes))).flat());
  const read = async (name: string): Promise<readonly string[]> =>
    (await readFile(`/proc/${pid}/net/${name}`, "utf8").catch(() => "")).trim().split("\n").slice(1);
  const found: ListeningSocket[] = [];
  for (
    const [name, kind, state] of [["tcp", "tcp", LISTENING], ["tcp6", "tcp", LISTENING], ["udp", "udp", UNCONNECTED], [
      "udp6",
      "udp",
      UNCONNECTED,
    ]] as const
  ) {
    for (const line of await read(name)) {
      const fields = line.trim().split(/\s+/);
      const [, address = "", , shown] = fields;
      if (shown === state && inodes.has(fields[9] ?? "")) found.push({ kind, at: parseAddress(address) });
    }
  }
  for (const line of await read("unix")) {
    const fields = line.trim().split(/\s+/);
    // The flag of a socket that accepts connections.
    const isAccepting = (Number.parseInt(fields[3] ?? "0", 16) & 0x10000) !== 0;
    if (isAccepting && inodes.has(fields[6] ?? "")) found.push({ kind: "unix", at: fields[7] ?? "" });
  }
  return found;
}

async function withChildren(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const children = text.trim().split(/\s+/).filter((word) => word !== "").map(Number);
  return [pid, ...(await Promise.all(children.map(withChildren))).flat()];
}

async function socketInodes(pid: number): Promise<readonly string[]> {
  const names = await readdir(`/proc/${pid}/fd`);
  const targets = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => "")));
  return targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.slice(1) ?? []);
}

/** The kernel writes IPv4 addresses and ports in hexadecimal, addresses the wrong way round. */
function parseAddress(text: string): string {
  const [address = "", port = ""] = text.split(":");
  const number = Number.parseInt(port, 16);
  if (address.length !== 8) return `[${address.toLowerCase()}]:${number}`;
  return `${(address.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16)).join(".")}:${number}`;
}
