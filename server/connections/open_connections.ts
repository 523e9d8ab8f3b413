/**
 * The open connections of a server. One connection has a socket, a TLS socket around it, and maybe an HTTP/2 session;
 * the guard sees them as one connection.
 */
import type { Http2SecureServer, ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { ConnectionGuard, Endings, GuardedConnection } from "./connection_guard.ts";

/** How long an ended connection may keep its socket. */
export const CLOSE_GRACE_MS = 2_000;

type Sleep = (ms: number) => Promise<void>;

interface Accepted {
  readonly connection: GuardedConnection;
  readonly socket: Socket;
}

/** Tracks the open sockets, so that closing the server can end those that stay open. */
export class OpenConnections {
  readonly #guard: ConnectionGuard;
  readonly #sockets = new Set<Socket>();
  /** The connections by remote address and port, which the socket, the TLS socket and the session have in common. */
  readonly #accepted = new Map<string, Accepted>();
  readonly #guarded = new WeakMap<object, GuardedConnection>();
  readonly #sleep: Sleep;

  /** `sleep` rejects when the server stops. */
  constructor(server: Http2SecureServer, guard: ConnectionGuard, sleep: Sleep) {
    this.#guard = guard;
    this.#sleep = sleep;
    server.on("connection", (socket: Socket) => this.#accept(socket));
    server.on("secureConnection", (socket: TLSSocket) => this.#secure(socket));
    server.on("session", (session: ServerHttp2Session) => this.#beginSession(session));
  }

  /** Finds the connection of an HTTP/2 session or a TLS socket. */
  find(sessionOrSocket: object): GuardedConnection | undefined {
    return this.#guarded.get(sessionOrSocket);
  }

  /** Ends every connection at once. */
  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    const connection = this.#guard.accept({ close: () => socket.destroy(), destroy: () => socket.destroy() });
    const key = toPeerKey(socket);
    const own = connection === undefined ? undefined : { connection, socket };
    if (own !== undefined) this.#accepted.set(key, own);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      connection?.closed();
      if (this.#accepted.get(key) === own) this.#accepted.delete(key);
    });
  }

  #secure(socket: TLSSocket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // A reset by the peer needs no log line.
    socket.on("error", () => socket.destroy());
    const own = this.#accepted.get(toPeerKey(socket));
    if (own === undefined) return;
    this.#guarded.set(socket, own.connection);
    if (socket.authorized === true) own.connection.authenticated();
    if (socket.alpnProtocol === "h2") return;
    own.connection.secured(this.#createEndings(own.socket, () => socket.destroySoon(), () => socket.destroy()));
  }

  #beginSession(session: ServerHttp2Session): void {
    const own = this.#accepted.get(toPeerKey(session.socket));
    if (own === undefined) return;
    this.#guarded.set(session, own.connection);
    own.connection.secured(this.#createEndings(own.socket, () => session.close(), () => session.destroy()));
  }

  /**
   * Destroys the socket after a grace period: both runtimes keep it until its peer has read everything and closes its
   * side, which may never happen.
   */
  #createEndings(socket: Socket, close: () => void, destroy: () => void): Endings {
    const destroyLater = (): void => void this.#sleep(CLOSE_GRACE_MS).then(() => socket.destroy(), () => {});
    return {
      close() {
        close();
        destroyLater();
      },
      destroy() {
        destroy();
        destroyLater();
      },
    };
  }
}

function toPeerKey({ remoteAddress, remotePort }: Pick<Socket, "remoteAddress" | "remotePort">): string {
  return `${remoteAddress} ${remotePort}`;
}
