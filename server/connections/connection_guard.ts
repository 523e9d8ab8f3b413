/**
 * Timeouts and limits of connections. A connection is unauthenticated until the user of one of its requests, or its
 * client certificate, is known. Unauthenticated connections have shorter timeouts, and when there are too many, the one
 * that has been idle longest is closed first. The timeouts are kube-apiserver's
 * (`apiserver/pkg/server/secure_serving.go`).
 */
import { createTokenBuckets } from "../../core/lib/bounded.ts";
import type { RequestConnection } from "../http/exchange.ts";

export interface Closer {
  /** Ends the connection when its open requests are finished. */
  close(): void;
  /** Ends the connection at once. */
  destroy(): void;
}

/** One connection; the listener reports its events to the guard. */
export interface GuardedConnection {
  /** The TLS handshake is complete. From now on, `closer` ends the connection. */
  secured(closer: Closer): void;
  /** The connection is authenticated by its client certificate, or by a request, which also identifies the user. */
  authenticated(user?: string): void;
  /** A request has begun, on an HTTP/2 stream or over HTTP/1; `abort` ends it. */
  startRequest(abort: () => void, isStream: boolean): RunningRequest;
  readonly isAuthenticated: boolean;
  closed(): void;
}

/** One request on a guarded connection. A streamed answer, such as a watch, has no timeout. */
export interface RunningRequest extends RequestConnection {
  finished(): void;
  /** The client cancelled the request before it had the whole answer. */
  cancelled(): void;
}

/** The timeouts and limits of the guard. */
export interface GuardLimits {
  /** The time from accepting a connection to its first complete request head: Go's `ReadHeaderTimeout`. */
  readonly unauthenticatedTimeoutMs: number;
  /** The time that an authenticated connection may be idle: Go's `IdleTimeout`. */
  readonly idleTimeoutMs: number;
  /** The time from a request to the last byte of its answer; it does not apply to watches. */
  readonly requestTimeoutMs: number;
  /** The largest number of idle unauthenticated connections. */
  readonly maxUnauthenticated: number;
  /** The time that an unauthenticated connection may be idle when there are more than `maxUnauthenticated`. */
  readonly unauthenticatedIdleMs: number;
  /** The largest number of HTTP/2 streams on an unauthenticated connection. */
  readonly maxUnauthenticatedStreams: number;
  /** The number of requests that may be cancelled on one connection, regardless of its user's other connections. */
  readonly maxCancelledRequests: number;
  /** The number of further requests that a user may cancel at once, on all connections together. */
  readonly userCancellationBurst: number;
  /** The rate at which a user may cancel further requests. */
  readonly userCancellationsPerSecond: number;
  /**
   * The largest number of connections. Beyond it, an idle unauthenticated connection is closed, or else the new one.
   */
  readonly maxConnections: number;
}

export const GUARD_LIMITS: GuardLimits = {
  unauthenticatedTimeoutMs: 32_000,
  idleTimeoutMs: 90_000,
  requestTimeoutMs: 65_000,
  maxUnauthenticated: 1_000,
  unauthenticatedIdleMs: 5_000,
  maxUnauthenticatedStreams: 200,
  // A node cancels one watch, but stopped informers cancel hundreds on one connection.
  maxCancelledRequests: 100,
  userCancellationBurst: 2_000,
  userCancellationsPerSecond: 100,
  maxConnections: Infinity,
};

export type GuardReason =
  | "unauthenticated timeout"
  | "too many unauthenticated connections"
  | "idle"
  | "too many unauthenticated requests"
  | "too many cancelled requests"
  | "too many connections";

interface Connection {
  closer: Closer;
  isAuthenticated: boolean;
  user: string | undefined;
  /** When the connection last became idle. */
  idleSince: number;
  open: number;
  streams: number;
  cancelled: number;
  isDestroyed: boolean;
  isGone: boolean;
}

interface Request {
  readonly startedAt: number;
  readonly abort: () => void;
  isOpen: boolean;
  /** Whether the guard itself has ended the request. */
  isAborted: boolean;
}

/** Enforces the timeouts and limits on all connections of a listener. */
export class ConnectionGuard {
  readonly #now: () => number;
  readonly #limits: GuardLimits;
  readonly #onEnded: (reason: GuardReason) => void;
  // The connections are in the order in which they became idle, so the one that has been idle longest is first.
  readonly #unauthenticated = new Set<Connection>();
  readonly #idle = new Set<Connection>();
  readonly #requests = new Set<Request>();
  readonly #cancellations: ReturnType<typeof createTokenBuckets>;
  #size = 0;

  /** `now` is monotonic, in milliseconds; `onEnded` is called for each connection that the guard ends. */
  constructor(
    now: () => number,
    limits: GuardLimits = GUARD_LIMITS,
    onEnded: (reason: GuardReason) => void = () => {},
  ) {
    this.#now = now;
    this.#limits = limits;
    this.#onEnded = onEnded;
    this.#cancellations = createTokenBuckets(now, {
      burst: limits.userCancellationBurst,
      refillMs: 1_000 / limits.userCancellationsPerSecond,
    });
  }

  get size(): number {
    return this.#size;
  }

  /** Registers a new connection. Ends it and returns undefined when the limit is reached. */
  accept(closer: Closer): GuardedConnection | undefined {
    if (!this.#makeRoom()) {
      this.#onEnded("too many connections");
      closer.destroy();
      return undefined;
    }
    const connection: Connection = {
      closer,
      isAuthenticated: false,
      user: undefined,
      idleSince: 0,
      open: 0,
      streams: 0,
      cancelled: 0,
      isDestroyed: false,
      isGone: false,
    };
    this.#size++;
    this.#markIdle(connection);
    return {
      secured: (next) => connection.closer = next,
      authenticated: (user) => this.#markAuthenticated(connection, user),
      get isAuthenticated() {
        return connection.isAuthenticated;
      },
      startRequest: (abort, isStream) => this.#startRequest(connection, abort, isStream),
      closed: () => this.#markGone(connection),
    };
  }

  /** Ends the connections and requests that have timed out. Call it about once a second. */
  sweep(): void {
    const limits = this.#limits;
    const unauthenticated = this.#unauthenticated;
    this.#endFirst(unauthenticated, "unauthenticated timeout", (age) => age >= limits.unauthenticatedTimeoutMs);
    this.#endFirst(
      unauthenticated,
      "too many unauthenticated connections",
      (age) => unauthenticated.size > limits.maxUnauthenticated && age >= limits.unauthenticatedIdleMs,
    );
    this.#endFirst(this.#idle, "idle", (age) => age >= limits.idleTimeoutMs);
    this.#cancellations.sweep();
    const at = this.#now();
    for (const request of this.#requests) {
      if (at - request.startedAt < limits.requestTimeoutMs) break;
      this.#requests.delete(request);
      request.isAborted = true;
      request.abort();
    }
  }

  #startRequest(connection: Connection, abort: () => void, isStream: boolean): RunningRequest {
    const request: Request = { startedAt: this.#now(), abort, isOpen: true, isAborted: false };
    this.#requests.add(request);
    connection.open++;
    this.#markBusy(connection);
    const { maxUnauthenticatedStreams } = this.#limits;
    if (isStream && !connection.isAuthenticated && ++connection.streams > maxUnauthenticatedStreams) {
      this.#end(connection, "too many unauthenticated requests");
    }
    return {
      authenticated: (user) => this.#markAuthenticated(connection, user),
      markStreaming: () => void this.#requests.delete(request),
      finished: () => this.#endRequest(connection, request),
      cancelled: () => {
        const isCancelled = request.isOpen && isStream && !request.isAborted;
        if (isCancelled && this.#countCancelled(connection)) this.#end(connection, "too many cancelled requests");
        this.#endRequest(connection, request);
      },
    };
  }

  #endRequest(connection: Connection, request: Request): void {
    if (!request.isOpen) return;
    request.isOpen = false;
    this.#requests.delete(request);
    if (--connection.open === 0) this.#markIdle(connection);
  }

  #markIdle(connection: Connection): void {
    if (connection.isDestroyed || connection.isGone) return;
    connection.idleSince = this.#now();
    (connection.isAuthenticated ? this.#idle : this.#unauthenticated).add(connection);
  }

  #markBusy(connection: Connection): void {
    this.#unauthenticated.delete(connection);
    this.#idle.delete(connection);
  }

  #markAuthenticated(connection: Connection, user?: string): void {
    connection.user ??= user;
    connection.isAuthenticated = true;
    if (this.#unauthenticated.delete(connection)) this.#markIdle(connection);
  }

  #markGone(connection: Connection): void {
    if (connection.isGone) return;
    connection.isGone = true;
    this.#size--;
    this.#markBusy(connection);
  }

  #end(connection: Connection, reason: GuardReason): void {
    this.#markBusy(connection);
    if (connection.isDestroyed) return;
    this.#onEnded(reason);
    if (reason === "idle") return connection.closer.close();
    connection.isDestroyed = true;
    connection.closer.destroy();
  }

  /** Ends connections from the front while `isOver` holds. */
  #endFirst(waiting: Set<Connection>, reason: GuardReason, isOver: (ageMs: number) => boolean): void {
    const at = this.#now();
    for (const connection of waiting) {
      if (!isOver(at - connection.idleSince)) return;
      this.#end(connection, reason);
    }
  }

  /**
   * Counts a cancelled request, and returns whether there were too many. A request that is cancelled as soon as it is
   * sent costs work on the server only (CVE-2023-44487). So each connection may cancel some requests, and each user
   * some more on all connections together.
   */
  #countCancelled(connection: Connection): boolean {
    // The end of a connection cancels its open requests.
    if (connection.isDestroyed || connection.isGone) return false;
    if (++connection.cancelled <= this.#limits.maxCancelledRequests) return false;
    return connection.user === undefined || !this.#cancellations.take(connection.user);
  }

  #makeRoom(): boolean {
    if (this.#size < this.#limits.maxConnections) return true;
    const [oldest] = this.#unauthenticated;
    if (oldest === undefined) return false;
    this.#end(oldest, "too many connections");
    return true;
  }
}
