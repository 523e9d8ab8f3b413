/**
 * How many requests begin in one turn of the event loop. What one read of a socket brings may be hundreds of requests;
 * begun all at once they would keep everybody waiting who has written meanwhile. So connections take turns, those of
 * somebody and those of strangers apart.
 *
 * Handshakes go before requests: a client gives one up after ten seconds (Go's `TLSHandshakeTimeout`) and begins again,
 * so that the work is lost, while it waits a minute and longer for an answer. Node accepts one connection in a turn:
 * turns in which connections come have to be short for the sake of those that wait to be accepted.
 */
import { FlowQueue } from "../flowcontrol/flow_queue.ts";

/** Lets requests begin. */
export interface Pacing {
  /** Takes a place to wait at; undefined when it may begin at once. */
  schedule(connection: object | undefined, isKnown: boolean): WaitingRequest | undefined;
  /** A connection has been accepted, and more may wait for it. */
  connectionAccepted(): void;
}

/** Where a request waits. */
export interface WaitingRequest {
  /** Resolves when it may begin, or has left. */
  readonly turn: Promise<void>;
  /** Nobody waits for it any more: what it holds is let go at once. */
  cancel(): void;
}

/** How many of a lane begin. */
interface Pace {
  /** In a turn. */
  readonly perTurn: number;
  /** While connections come, one in so many turns: a share of the time, whoever keeps connecting. */
  readonly heldTurns: number;
}

/** Of somebody: a few milliseconds of work. */
const KNOWN: Pace = { perTurn: 16, heldTurns: 4 };
/** Of strangers: a probe has to come round four times before its handshake is done. */
const STRANGERS: Pace = { perTurn: 8, heldTurns: 16 };

interface Waiting {
  readonly flow: object;
  begin(): void;
}

const NO_CONNECTION = {};

/** Creates it. `defer` runs something in the next turn, after what has come meanwhile has been read. */
export function createPacing(defer: (run: () => void) => void): Pacing {
  const known = createLane(KNOWN);
  const strangers = createLane(STRANGERS);
  let isArmed = false;
  let hasAccepted = false;
  /** In how many turns on end connections have come. */
  let turnsHeld = 0;

  function arm(): void {
    if (isArmed) return;
    isArmed = true;
    defer(turn);
  }

  function turn(): void {
    isArmed = false;
    turnsHeld = hasAccepted ? turnsHeld + 1 : 0;
    hasAccepted = false;
    const isKnownBusy = known.turn(turnsHeld);
    const isStrangersBusy = strangers.turn(turnsHeld);
    if (isKnownBusy || isStrangersBusy || turnsHeld > 0) arm();
  }

  return {
    schedule(connection, isKnown) {
      arm();
      return (isKnown ? known : strangers).enter(connection ?? NO_CONNECTION);
    },
    connectionAccepted() {
      hasAccepted = true;
      arm();
    },
  };
}

function createLane({ perTurn, heldTurns }: Pace) {
  const queue = new FlowQueue<Waiting>(Infinity);
  /** How many more may begin before the next turn. */
  let left = perTurn;
  return {
    enter(flow: object): WaitingRequest | undefined {
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
    /** Lets begin whose turn it is, the so many-th in which connections came, or 0; tells whether anybody had waited. */
    turn(turnsHeld: number): boolean {
      const isBusy = queue.size > 0;
      left = turnsHeld === 0 ? perTurn : Number(turnsHeld % heldTurns === 0);
      for (; left > 0 && queue.size > 0; left--) queue.take()?.begin();
      return isBusy;
    },
  };
}
