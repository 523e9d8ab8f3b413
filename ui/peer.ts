/**
 * The user at the other end of a connection over loopback, as Linux reports it. Every user of a machine can connect to
 * its ports, and a browser sends the cookies of a host to all of its ports: a cookie alone does not prove who it is.
 */
import type { Socket } from "node:net";
import { endianness } from "node:os";
import { encodeHex } from "../core/lib/encodings.ts";

/** The owner of the process at the other end: the same user or root, another user, or nothing. */
export type Peer = "own" | "foreign" | "unknown";

/** The two ends of a connection over IPv4, seen from the server. */
export interface LoopbackConnection {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** The parts of the system that the check reads. */
export interface PeerDeps {
  /** The user of this process; undefined where there are no numbers of users. */
  readonly uid: number | undefined;
  /** Reads a file; undefined when it cannot be read, as on systems other than Linux. */
  readonly readText: (path: string) => Promise<string | undefined>;
}

/** The kernel's lists of sockets. A program may also connect over IPv4 with a socket of IPv6. */
const SOCKET_LISTS = ["/proc/net/tcp", "/proc/net/tcp6"] as const;

/** The state of an open connection. Late states no longer have a user, and report 0 (`net/ipv4/tcp_ipv4.c`). */
const ESTABLISHED = "01";

/**
 * Finds out whether the user at the other end of a connection may use the page. A server that root runs accepts everyone,
 * because the browser of the person who started it runs as a different user.
 */
export async function findPeer(connection: LoopbackConnection, deps: PeerDeps): Promise<Peer> {
  if (deps.uid === undefined || deps.uid === 0) return "unknown";
  for (const path of SOCKET_LISTS) {
    const found = findSocketOwner(await deps.readText(path) ?? "", connection);
    if (found === undefined) continue;
    const isRoot = found.uid === 0 && found.isOpen;
    return found.uid === deps.uid || isRoot ? "own" : "foreign";
  }
  // The socket is not on this system, as that of a browser in Windows for a page in WSL.
  return "unknown";
}

/** Creates a check of the sockets of a server, which asks once for each connection. */
export function createPeerCheck(deps: PeerDeps): (socket: Socket) => Promise<Peer> {
  const known = new WeakMap<Socket, Promise<Peer>>();
  return (socket) => {
    const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = socket;
    const peer = known.get(socket) ?? findPeer({ remoteAddress, remotePort, localAddress, localPort }, deps);
    known.set(socket, peer);
    return peer;
  };
}

/** The owner of a socket. The user is not known for certain when the socket is no longer open. */
export interface SocketOwner {
  readonly uid: number;
  readonly isOpen: boolean;
}

/** Finds the owner of the client's socket in a list of the kernel; undefined when it is not there. */
export function findSocketOwner(list: string, connection: LoopbackConnection): SocketOwner | undefined {
  const client = formatEnd(connection.remoteAddress, connection.remotePort);
  const server = formatEnd(connection.localAddress, connection.localPort);
  for (const line of list.split("\n")) {
    const [, local = "", remote = "", state, , , , uid = ""] = line.trim().split(/\s+/);
    // An IPv6 address that maps an IPv4 one ends with it.
    if (local.endsWith(client) && remote.endsWith(server)) return { uid: Number(uid), isOpen: state === ESTABLISHED };
  }
  return undefined;
}

/** Formats an end as the kernel does: the address as a number of the processor's byte order, and the port. */
function formatEnd(address: string, port: number): string {
  const bytes = address.replace(/^::ffff:/, "").split(".").map((part) => Number(part));
  const ordered = endianness() === "LE" ? bytes.toReversed() : bytes;
  return `${encodeHex(Uint8Array.from(ordered))}:${port.toString(16).padStart(4, "0")}`.toUpperCase();
}
