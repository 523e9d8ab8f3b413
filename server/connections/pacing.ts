/**
 * Limits how many requests begin in one turn of the event loop. One read of a socket may bring hundreds of requests,
 * which would delay all other clients if they all began at once. So connections take turns, authenticated and
 * unauthenticated ones in separate lanes.
 *
 * Handshakes have priority over requests: a client waits a minute or longer for an answer, but abandons a handshake
 * after ten seconds (Go's `TLSHandshakeTimeout`) and begins a new one, which wastes the work. Node accepts one
 * connection per turn, so turns with new connections must be short.
 */
import { FlowQueue } from "../flowcontrol/flow_control.ts";

/** Decides in which turn of the event loop a request begins. */
export interface Pacing {
  /** Schedules a request; undefined when it may begin at once. */
  schedule(connection: object | undefined, isAuthenticated: boolean): WaitingRequest | undefined;
  /** A connection has been accepted, and more may be waiting. */
  connectionAccepted(): void;
}

export interface WaitingRequest {
  /** Resolves when the request may begin, or was cancelled. */
  readonly turn: Promise<void>;
  /** Ends the wait at once, because the client has disconnected. */
  cancel(): void;
}

interface Pace {
  readonly perTurn: number;
  /** While connections arrive, a lane begins one request in this many turns, so that it never stops completely. */
  readonly slowTurns: number;
}

/** The pace of authenticated connections: a few milliseconds of work in each turn. */
const AUTHENTICATED: Pace = { perTurn: 16, slowTurns: 4 };
/** The pace of unauthenticated connections: a health probe needs four turns until its handshake is complete. */
const UNAUTHENTICATED: Pace = { perTurn: 8, slowTurns: 16 };

interface Waiting {
  readonly flow: object;
  begin(): void;
}

const NO_CONNECTION = {};

/** Creates the pacing. `defer` runs a function in the next turn, after the runtime has read from the sockets. */
export function createPacing(defer: (run: () => void) => void): Pacing {
  const authenticated = createLane(AUTHENTICATED);
  const unauthenticated = createLane(UNAUTHENTICATED);
  let isArmed = false;
  let hasAccepted = false;
  /** The number of consecutive turns with new connections. */
  let slowedTurns = 0;

  function arm(): void {
    if (isArmed) return;
    isArmed = true;
    defer(turn);
  }

  function turn(): void {
    isArmed = false;
    slowedTurns = hasAccepted ? slowedTurns + 1 : 0;
    hasAccepted = false;
    const hadAuthenticated = authenticated.turn(slowedTurns);
    const hadUnauthenticated = unauthenticated.turn(slowedTurns);
    if (hadAuthenticated || hadUnauthenticated || slowedTurns > 0) arm();
  }

  return {
    schedule(connection, isAuthenticated) {
      arm();
      return (isAuthenticated ? authenticated : unauthenticated).schedule(connection ?? NO_CONNECTION);
    },
    connectionAccepted() {
      hasAccepted = true;
      arm();
    },
  };
}

function createLane({ perTurn, slowTurns }: Pace) {
  const queue = new FlowQueue<Waiting>(Infinity);
  /** The number of requests that may still begin before the next turn. */
  let left = perTurn;
  return {
    schedule(flow: object): WaitingRequest | undefined {
      if (left > 0 && queue.size === 0) {
        left--;
        return undefined;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      const waiting: Waiting = { flow, begin: resolve };
      queue.add(waiting);
      return {
        turn: promise,
        cancel() {
          queue.remove(waiting);
          resolve();
        },
      };
    },
    /**
     * Begins the next requests; `slowedTurns` is the number of consecutive turns with new connections. Returns whether any
     * request was waiting.
     */
    turn(slowedTurns: number): boolean {
      const isBusy = queue.size > 0;
      left = slowedTurns === 0 ? perTurn : Number(slowedTurns % slowTurns === 0);
      for (; left > 0 && queue.size > 0; left--) queue.take()?.begin();
      return isBusy;
    },
  };
}
