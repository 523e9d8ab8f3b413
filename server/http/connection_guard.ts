/**
 * How long a connection may do nothing, and who gives way when there are many. A connection is a stranger's until a
 * request on it was somebody's: strangers get less time, and when there are too many of them the one that has done
 * nothing for longest goes first. Times are kube-apiserver's (`apiserver/pkg/server/secure_serving.go`).
 */

import { createTokenBuckets } from "../../core/lib/token_buckets.ts";

/** How a connection is ended. */
export interface Endings {
  /** Lets what is under way end first. */
  close(): void;
  /** At once. */
  destroy(): void;
}

/** One connection, as the guard hears of it. */
export interface GuardedConnection {
  /** The TLS layer is done, and may say how the connection is ended from now on. */
  secured(endings: Endings): void;
  /** It belongs to somebody who has been authenticated; the user as soon as a request says who. */
  authenticated(user?: string): void;
  /** A request has come, alone or as one of many streams; `abort` ends it. */
  startRequest(abort: () => void, isStream: boolean): GuardedRequest;
  readonly isAuthenticated: boolean;
  /** It is gone. */
  closed(): void;
}

/** One request. */
export interface GuardedRequest {
  /** It goes on as long as its client wants it. */
  markStreaming(): void;
  /** It is answered. */
  finished(): void;
  /** Its client did not wait for the answer, or not for all of it. */
  cancelled(): void;
}

/** Limits of the guard. */
export interface GuardLimits {
  /** From accepting a connection to the first whole request on it: Go's `ReadHeaderTimeout`. */
  readonly unauthenticatedTimeoutMs: number;
  /** Without a request on a connection of somebody: Go's `IdleTimeout`. */
  readonly idleTimeoutMs: number;
  /** From a request to the last byte of its answer taken, or the client's own deadline; watches left out. */
  readonly requestTimeoutMs: number;
  /** Beyond so many strangers that wait, */
  readonly maxUnauthenticated: number;
  /** those go that have done nothing for so long. */
  readonly unauthenticatedIdleMs: number;
  /** So many streams a stranger may begin before one of them is somebody's. */
  readonly maxUnauthenticatedStreams: number;
  /** So many requests may be cancelled on a connection, whatever its user cancels elsewhere. */
  readonly maxCancelledRequests: number;
  /** Beyond them, so many of all connections of a user, */
  readonly userCancellationBurst: number;
  /** and so many more in every second. */
  readonly userCancellationsPerSecond: number;
  /** All connections; beyond, a stranger gives way, or the newcomer. */
  readonly maxConnections: number;
}

/** What a server has when nothing is said. */
export const GUARD_LIMITS: GuardLimits = {
  unauthenticatedTimeoutMs: 32_000,
  idleTimeoutMs: 90_000,
  requestTimeoutMs: 65_000,
  maxUnauthenticated: 1_000,
  unauthenticatedIdleMs: 5_000,
  maxUnauthenticatedStreams: 200,
  // A node cancels one watch; informers that are stopped cancel hundreds on one connection.
  maxCancelledRequests: 100,
  userCancellationBurst: 2_000,
  userCancellationsPerSecond: 100,
  maxConnections: Infinity,
};

/** Why a connection was ended. */
export type GuardReason =
  | "stranger timeout"
  | "too many strangers"
  | "idle"
  | "stranger flood"
  | "too many cancelled requests"
  | "too many connections";

/** Watches over all connections of a listener. */
export interface ConnectionGuard {
  /** A new connection; undefined when there is no room and it was ended. */
  accept(endings: Endings): GuardedConnection | undefined;
  /** Ends what has had its time. Called about once a second. */
  sweep(): void;
  /** How many connections there are. */
  readonly size: number;
}

interface Connection {
  endings: Endings;
  isKnown: boolean;
  user: string | undefined;
  /** Since when it has no request. */
  since: number;
  open: number;
  streams: number;
  cancelled: number;
  isDestroyed: boolean;
  isGone: boolean;
}

interface Request {
  readonly startedAt: number;
  readonly abort: () => void;
  /** It is ended by us. */
  isAborted: boolean;
}

/** Creates a guard. `now` is monotonic, in milliseconds; `onEnded` hears of each connection that was ended. */
export function createConnectionGuard(
  now: () => number,
  limits: GuardLimits = GUARD_LIMITS,
  onEnded: (reason: GuardReason) => void = () => {},
): ConnectionGuard {
  // In the order in which they began to wait: whoever has waited for longest stands first.
  const strangers = new Set<Connection>();
  const idle = new Set<Connection>();
  const requests = new Set<Request>();
  const cancellations = createTokenBuckets(now, {
    burst: limits.userCancellationBurst,
    refillMs: 1_000 / limits.userCancellationsPerSecond,
  });
  let size = 0;

  function rest(connection: Connection): void {
    if (connection.isDestroyed || connection.isGone) return;
    connection.since = now();
    (connection.isKnown ? idle : strangers).add(connection);
  }

  function wake(connection: Connection): void {
    strangers.delete(connection);
    idle.delete(connection);
  }

  function end(connection: Connection, reason: GuardReason): void {
    wake(connection);
    if (connection.isDestroyed) return;
    onEnded(reason);
    if (reason === "idle") return connection.endings.close();
    connection.isDestroyed = true;
    connection.endings.destroy();
  }

  /** Ends those at the front for as long as `isOver` says so. */
  function endFirst(waiting: Set<Connection>, reason: GuardReason, isOver: (ageMs: number) => boolean): void {
    const at = now();
    for (const connection of waiting) {
      if (!isOver(at - connection.since)) return;
      end(connection, reason);
    }
  }

  /**
   * A request that is cancelled as soon as it is sent costs the server its work and the client nothing (CVE-2023-44487),
   * on as many connections as somebody likes: so a connection has some, and a user some more.
   */
  function isOverCancelled(connection: Connection): boolean {
    // With it go the requests that it still has.
    if (connection.isDestroyed || connection.isGone) return false;
    if (++connection.cancelled <= limits.maxCancelledRequests) return false;
    return connection.user === undefined || !cancellations.take(connection.user);
  }

  function makeRoom(): boolean {
    if (size < limits.maxConnections) return true;
    const [oldest] = strangers;
    if (oldest === undefined) return false;
    end(oldest, "too many connections");
    return true;
  }

  return {
    get size() {
      return size;
    },
    accept(endings) {
      if (!makeRoom()) {
        onEnded("too many connections");
        endings.destroy();
        return undefined;
      }
      const connection: Connection = {
        ...{ endings, isKnown: false, user: undefined, since: 0 },
        ...{ open: 0, streams: 0, cancelled: 0, isDestroyed: false, isGone: false },
      };
      size++;
      rest(connection);
      return {
        secured: (next) => connection.endings = next,
        authenticated(user) {
          connection.user ??= user;
          connection.isKnown = true;
          if (strangers.delete(connection)) rest(connection);
        },
        get isAuthenticated() {
          return connection.isKnown;
        },
        startRequest(abort, isStream) {
          const request: Request = { startedAt: now(), abort, isAborted: false };
          requests.add(request);
          connection.open++;
          wake(connection);
          if (isStream && !connection.isKnown && ++connection.streams > limits.maxUnauthenticatedStreams) {
            end(connection, "stranger flood");
          }
          let isOpen = true;
          const ended = (): void => {
            if (!isOpen) return;
            isOpen = false;
            requests.delete(request);
            if (--connection.open === 0) rest(connection);
          };
          return {
            markStreaming: () => requests.delete(request),
            finished: ended,
            cancelled() {
              const isCancelled = isOpen && isStream && !request.isAborted;
              if (isCancelled && isOverCancelled(connection)) end(connection, "too many cancelled requests");
              ended();
            },
          };
        },
        closed() {
          if (connection.isGone) return;
          connection.isGone = true;
          size--;
          wake(connection);
        },
      };
    },
    sweep() {
      endFirst(strangers, "stranger timeout", (age) => age >= limits.unauthenticatedTimeoutMs);
      endFirst(
        strangers,
        "too many strangers",
        (age) => strangers.size > limits.maxUnauthenticated && age >= limits.unauthenticatedIdleMs,
      );
      endFirst(idle, "idle", (age) => age >= limits.idleTimeoutMs);
      cancellations.sweep();
      const at = now();
      for (const request of requests) {
        if (at - request.startedAt < limits.requestTimeoutMs) break;
        requests.delete(request);
        request.isAborted = true;
        request.abort();
      }
    },
  };
}
