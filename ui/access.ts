/**
 * Decides who may use the page. A link works once and opens a session, whose cookie the browser then sends. Keys and
 * cookies are 256 random bits, and only their digests are kept. Each request and its connection are checked before a
 * page sees them, and every answer gets security headers, because another site can make a browser send requests here,
 * even under its own name by DNS rebinding. Every user of the machine can connect to its ports, and a browser sends the
 * cookies of a host to all ports. A cookie alone therefore does not prove whose browser it is, so the kernel's list of
 * sockets is checked too.
 */
import { Buffer } from "node:buffer";
import { equalsInConstantTime } from "../core/lib/brand.ts";
import { hash } from "node:crypto";
import type { Clock, Random } from "../core/ports.ts";
import type { Socket } from "node:net";
import { endianness } from "node:os";
import { encodeHex } from "../core/lib/encodings.ts";

/** How long a link may be used after it was printed, in milliseconds. */
export const LINK_LIFETIME_MS = 15 * 60 * 1000;
/** How long a session lasts: a working day, in milliseconds. */
const SESSION_LIFETIME_MS = 12 * 60 * 60 * 1000;
/** The largest number of sessions. A session beyond it ends the oldest one. */
const MAX_SESSIONS = 16;

/** A message that the next page shows once, such as the result of a form. */
export interface Notice {
  readonly kind: "done" | "fault";
  readonly text: string;
}

/** A browser that has opened a link. */
export interface UiSession {
  /** The token that every form of the session contains, so that no other site can send one. */
  readonly formToken: string;
  /** The messages to show on the next page. */
  notices: Notice[];
  /** Aborts when the session ends, which ends its streams of events. */
  readonly signal: AbortSignal;
}

/** The outcome of a login: a new session with its cookie, or the reason why there is none. */
export type Login =
  | { readonly kind: "opened"; readonly cookie: string }
  | { readonly kind: "used" | "expired" | "unknown" };

/** The links and the sessions of one server. */
export interface UiSessions extends Disposable {
  /** Creates the key for a new link. */
  createKey(): string;
  /**
   * Opens a session with a key. A key that is used again by another browser ends the session that it opened: one of the
   * two is not the user (RFC 6749, section 4.1.2, has the same rule for its codes).
   */
  login(key: string): Login;
  find(cookie: string): UiSession | undefined;
  /** Reports whether a form belongs to a session. */
  isOwnForm(session: UiSession, token: string): boolean;
  /** Ends the session of a cookie. */
  end(cookie: string): void;
}

interface Opened extends UiSession {
  readonly endsAt: number;
  readonly life: AbortController;
}

interface Link {
  readonly expiresAt: number;
  /** The digest of the cookie of the session that the link opened. */
  session: string | undefined;
}

export function createUiSessions(deps: { readonly clock: Clock; readonly random: Random }): UiSessions {
  const { clock, random } = deps;
  const links = new Map<string, Link>();
  const sessions = new Map<string, Opened>();
  const createSecret = () => Buffer.from(random.bytes(32)).toString("base64url");

  function close(id: string): void {
    sessions.get(id)?.life.abort(new Error("the session has ended"));
    sessions.delete(id);
  }

  return {
    createKey() {
      const key = createSecret();
      links.set(digest(key), { expiresAt: clock.elapsedMs() + LINK_LIFETIME_MS, session: undefined });
      return key;
    },
    login(key) {
      // The lookup is by digest, so its duration reveals nothing about the key.
      const link = links.get(digest(key));
      if (link === undefined) return { kind: "unknown" };
      if (link.session !== undefined) {
        close(link.session);
        return { kind: "used" };
      }
      if (clock.elapsedMs() >= link.expiresAt) return { kind: "expired" };
      const cookie = createSecret();
      const life = new AbortController();
      link.session = digest(cookie);
      sessions.set(link.session, {
        formToken: createSecret(),
        notices: [],
        signal: life.signal,
        endsAt: clock.elapsedMs() + SESSION_LIFETIME_MS,
        life,
      });
      const [oldest = ""] = sessions.keys();
      if (sessions.size > MAX_SESSIONS) close(oldest);
      return { kind: "opened", cookie };
    },
    find(cookie) {
      const id = digest(cookie);
      const session = sessions.get(id);
      if (session !== undefined && clock.elapsedMs() >= session.endsAt) close(id);
      return sessions.get(id);
    },
    isOwnForm: (session, token) => equalsInConstantTime(session.formToken, token),
    end: (cookie) => close(digest(cookie)),
    [Symbol.dispose]() {
      for (const id of [...sessions.keys()]) close(id);
    },
  };
}

function digest(secret: string): string {
  return hash("sha256", secret);
}

/** The address that the page listens on. No other machine can reach it. */
export const UI_HOST = "127.0.0.1";

/** The longest target of a request, in characters. */
const MAX_TARGET_LENGTH = 4_096;

/** The parts of a request that the guards read. */
export interface UiRequest {
  readonly method: string;
  /** The path with its query, as it was sent. */
  readonly target: string;
  header(name: string): string | undefined;
}

/** The refusal of a request: the status of the answer, and a sentence for the user. */
interface UiRefusal {
  readonly status: 400 | 403 | 405 | 411 | 413 | 414 | 415 | 421;
  readonly message: string;
}

/** The largest body of a form, in bytes: an inventory of some thousand machines. */
export const MAX_FORM_BYTES = 256 * 1024;

export const ANSWER_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "x-frame-options": "DENY",
  "x-content-type-options": "nosniff",
  // With `no-referrer`, browsers send `Origin: null` with the page's own forms (Fetch standard, "append a request
  // `Origin` header"), and the origin of a form could not be checked.
  "referrer-policy": "same-origin",
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=()",
};

/** Returns the reason to refuse a request to the server at a port; undefined if the request may continue. */
export function findRefusal(request: UiRequest, port: number): UiRefusal | undefined {
  const host = request.header("host") ?? "";
  if (host !== `${UI_HOST}:${port}` && host !== `localhost:${port}`) {
    return { status: 421, message: `this server accepts requests for http://${UI_HOST}:${port} only` };
  }
  if (request.target.length > MAX_TARGET_LENGTH) return { status: 414, message: "the address is too long" };
  if (!["GET", "POST"].includes(request.method)) {
    return { status: 405, message: `the method ${request.method.slice(0, 20)} is not allowed` };
  }
  return findForeignSite(request, host) ?? (request.method === "POST" ? findFormFault(request) : undefined);
}

/**
 * Refuses a request that another site made. Sites on other ports of this machine count as other sites. Only a link may
 * lead here from elsewhere; the browser does not send the cookie with it.
 */
function findForeignSite({ method, header }: UiRequest, host: string): UiRefusal | undefined {
  const refusal: UiRefusal = { status: 403, message: "the request comes from another site" };
  const origin = header("origin");
  if (origin !== undefined && origin !== `http://${host}`) return refusal;
  if (method === "POST" && origin === undefined) return refusal;
  // Browsers send these headers by themselves, and no script can change them (W3C, Fetch Metadata).
  const site = header("sec-fetch-site");
  if (site === undefined || site === "same-origin") return undefined;
  if (method === "POST") return refusal;
  const isLink = header("sec-fetch-mode") === "navigate" && header("sec-fetch-dest") === "document";
  return isLink ? undefined : refusal;
}

/** Accepts only the forms of the page. The content length is required, so that an oversized body is never read. */
function findFormFault({ header }: UiRequest): UiRefusal | undefined {
  const [type = ""] = (header("content-type") ?? "").split(";");
  if (type.trim().toLowerCase() !== "application/x-www-form-urlencoded") {
    return { status: 415, message: "only forms are accepted" };
  }
  const length = header("content-length") ?? "";
  if (!/^\d{1,9}$/.test(length) || header("transfer-encoding") !== undefined) {
    return { status: 411, message: "the length of the form is missing" };
  }
  return Number(length) > MAX_FORM_BYTES ? { status: 413, message: "the form is too large" } : undefined;
}

/** Returns the name of the cookie. Browsers send the cookies of a host to all of its ports, so each port has its own. */
export function getCookieName(port: number): string {
  return `tlsboot-${port}`;
}

export function findCookie(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at >= 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}

/** The owner of the process at the other end: the same user or root, another user, or unknown. */
export type Peer = "own" | "foreign" | "unknown";

/** The two ends of a connection over IPv4, seen from the server. */
export interface LoopbackConnection {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** The parts of the system that the check reads. */
interface PeerDeps {
  /** The user id of this process; undefined on systems without user ids. */
  readonly uid: number | undefined;
  /** Reads a file; undefined when it cannot be read, as on systems other than Linux. */
  readonly readText: (path: string) => Promise<string | undefined>;
}

/** The kernel's lists of sockets. A program may also connect over IPv4 with an IPv6 socket. */
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
  // The socket is on another system, such as that of a browser in Windows for a page in WSL.
  return "unknown";
}

/** Creates a function that finds the peer of a socket and caches the result. */
export function createPeerCheck(deps: PeerDeps): (socket: Socket) => Promise<Peer> {
  const known = new WeakMap<Socket, Promise<Peer>>();
  return (socket) => {
    const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = socket;
    const peer = known.get(socket) ?? findPeer({ remoteAddress, remotePort, localAddress, localPort }, deps);
    known.set(socket, peer);
    return peer;
  };
}

/** The owner of a socket. The uid is reliable only while the socket is open. */
interface SocketOwner {
  readonly uid: number;
  readonly isOpen: boolean;
}

/** Finds the owner of the client's socket in a list of the kernel; undefined when it is not there. */
export function findSocketOwner(list: string, connection: LoopbackConnection): SocketOwner | undefined {
  const client = formatEnd(connection.remoteAddress, connection.remotePort);
  const server = formatEnd(connection.localAddress, connection.localPort);
  for (const line of list.split("\n")) {
    const [, local = "", remote = "", state, , , , uid = ""] = line.trim().split(/\s+/);
    // An IPv4-mapped IPv6 address ends with the IPv4 address.
    if (local.endsWith(client) && remote.endsWith(server)) return { uid: Number(uid), isOpen: state === ESTABLISHED };
  }
  return undefined;
}

/** Formats an endpoint as the kernel's lists do: the address in the processor's byte order, then the port. */
function formatEnd(address: string, port: number): string {
  const bytes = address.replace(/^::ffff:/, "").split(".").map((part) => Number(part));
  const ordered = endianness() === "LE" ? bytes.toReversed() : bytes;
  return `${encodeHex(Uint8Array.from(ordered))}:${port.toString(16).padStart(4, "0")}`.toUpperCase();
}
