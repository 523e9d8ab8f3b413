/**
 * The number of requests of each priority level that are served at the same time
 * (`apiserver/pkg/util/flowcontrol/apf_controller.go`, `NominalConcurrencyLimit` and borrowing).
 */
import { LEVEL_NAMES, type LevelName, LEVELS } from "./priority_levels.ts";

/** The seats of one priority level. */
export interface LevelSeats {
  /** The number of seats that belong to the level. */
  readonly nominal: number;
  /** The number of these seats that the level never lends; at least one. */
  readonly kept: number;
}

/** The seats of all priority levels. */
export interface Seats {
  readonly total: number;
  readonly of: Readonly<Record<LevelName, LevelSeats>>;
}

/** Distributes the seats of a server among the priority levels. */
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
 * Whether a seat is free for one more request of a level: one that the level never lends, or one that is neither occupied
 * nor kept by another level. A level that has lent a seat waits for it, so that never more requests are served than there
 * are seats.
 */
export function hasFreeSeat(seats: Seats, seated: Readonly<Record<LevelName, number>>, level: LevelName): boolean {
  if (seated[level] < seats.of[level].kept) return true;
  let taken = 0;
  for (const name of LEVEL_NAMES) {
    taken += name === level ? seated[name] : Math.max(seated[name], seats.of[name].kept);
  }
  return taken < seats.total;
}
