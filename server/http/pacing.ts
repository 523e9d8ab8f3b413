/**
 * How many requests begin in one turn of the event loop. What one read of a socket brings may be hundreds of requests;
 * begun all at once they would keep everybody waiting who has written meanwhile. So connections take turns, those of
 * somebody and those of strangers apart.
 */
import { FlowQueue } from "../flowcontrol/flow_queue.ts";

/** Lets requests begin. */
export interface Pacing {
  /** Waits for its turn; undefined when it may begin at once. */
  enter(connection: object | undefined, isKnown: boolean): Promise<void> | undefined;
}

/** So many of somebody begin in a turn: a few milliseconds of work. */
const PER_TURN = 16;
/** So many of strangers: a probe has to come round four times before its handshake is done. */
const STRANGERS_PER_TURN = 8;

interface Waiting {
  readonly flow: object;
  begin(): void;
}

const NO_CONNECTION = {};

/** Creates it. `defer` runs something in the next turn, after what has come meanwhile has been read. */
export function createPacing(defer: (run: () => void) => void): Pacing {
  const known = createLane(PER_TURN);
  const strangers = createLane(STRANGERS_PER_TURN);
  let isArmed = false;

  function arm(): void {
    if (isArmed) return;
    isArmed = true;
    defer(turn);
  }

  function turn(): void {
    isArmed = false;
    const begun = known.turn() + strangers.turn();
    if (begun > 0) arm();
  }

  return {
    enter(connection, isKnown) {
      arm();
      return (isKnown ? known : strangers).enter(connection ?? NO_CONNECTION);
    },
  };
}

function createLane(perTurn: number): { enter(flow: object): Promise<void> | undefined; turn(): number } {
  const queue = new FlowQueue<Waiting>(Infinity);
  let begun = 0;
  return {
    enter(flow) {
      if (begun < perTurn && queue.size === 0) {
        begun++;
        return undefined;
      }
      return new Promise((begin) => void queue.add({ flow, begin }));
    },
    turn() {
      for (begun = 0; begun < perTurn && queue.size > 0; begun++) queue.take()?.begin();
      return begun;
    },
  };
}
