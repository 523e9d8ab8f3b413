/**
 * How many requests of each priority level are served at the same time
 * (`apiserver/pkg/util/flowcontrol/apf_controller.go`, `NominalConcurrencyLimit` and borrowing).
 */
import { LEVEL_NAMES, type LevelName, LEVELS } from "./priority_levels.ts";

/** Seats of one level. */
export interface LevelSeats {
  /** Its own. */
  readonly nominal: number;
  /** Those of them that it never lends, one at least. */
  readonly kept: number;
}

/** Seats of all levels. */
export interface Seats {
  readonly total: number;
  readonly of: Readonly<Record<LevelName, LevelSeats>>;
}

/** Shares out the seats that a server has. */
export function planSeats(total: number): Seats {
  const allShares = LEVEL_NAMES.reduce((sum, name) => sum + LEVELS[name].shares, 0);
  const of = Object.fromEntries(LEVEL_NAMES.map((name) => {
    const { shares, lendable } = LEVELS[name];
    const nominal = Math.ceil(total * shares / allShares);
    return [name, { nominal, kept: Math.max(1, nominal - Math.round(nominal * lendable)) }];
  })) as Record<LevelName, LevelSeats>;
  return { total, of };
}

/**
 * Whether one more request of a level may be served: on a seat that it never lends, or on one that nobody sits on and
 * nobody keeps. Who has lent a seat waits for it, so that never more are served than there are seats.
 */
export function maySit(seats: Seats, seated: Readonly<Record<LevelName, number>>, level: LevelName): boolean {
  if (seated[level] < seats.of[level].kept) return true;
  let taken = 0;
  for (const name of LEVEL_NAMES) {
    taken += name === level ? seated[name] : Math.max(seated[name], seats.of[name].kept);
  }
  return taken < seats.total;
}
