/**
 * The open connections of a server. Each connection has a socket, a TLS socket around it, and perhaps an HTTP/2
 * session. The guard sees them as one connection.
 */
import type { Http2SecureServer, ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Closer, ConnectionGuard, GuardedConnection } from "./connection_guard.ts";

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
    const accepted = connection === undefined ? undefined : { connection, socket };
    if (accepted !== undefined) this.#accepted.set(key, accepted);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      connection?.closed();
      if (this.#accepted.get(key) === accepted) this.#accepted.delete(key);
    });
  }

  #secure(socket: TLSSocket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // A reset by the peer needs no log line.
    socket.on("error", () => socket.destroy());
    const accepted = this.#accepted.get(toPeerKey(socket));
    if (accepted === undefined) return;
    this.#guarded.set(socket, accepted.connection);
    if (socket.authorized === true) accepted.connection.authenticated();
    if (socket.alpnProtocol === "h2") return;
    accepted.connection.secured(
      this.#createCloser(accepted.socket, () => socket.destroySoon(), () => socket.destroy()),
    );
  }

  #beginSession(session: ServerHttp2Session): void {
    const accepted = this.#accepted.get(toPeerKey(session.socket));
    if (accepted === undefined) return;
    this.#guarded.set(session, accepted.connection);
    accepted.connection.secured(this.#createCloser(accepted.socket, () => session.close(), () => session.destroy()));
  }

  /**
   * Destroys the socket after a grace period: both runtimes keep it until its peer has read everything and closes its
   * side, which may never happen.
   */
  #createCloser(socket: Socket, close: () => void, destroy: () => void): Closer {
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
