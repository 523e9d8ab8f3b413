/** The clocks of servers and clients, which are set an hour forward or back, all together or one alone. */
import { join } from "node:path";
import type { Clock, Random } from "../../core/ports.ts";
import { pick } from "../support/seeded_random.ts";
import { createProgramClock, type ProgramClock } from "../support/interop/program_clock.ts";

/** A clock that can be set to a number of milliseconds from the right time. */
export interface SettableClock extends Clock {
  setOffset(ms: number): void;
}

export function createSettableClock(clock: Clock): SettableClock {
  let offsetMs = 0;
  return {
    now: () => new Date(clock.now().getTime() + offsetMs),
    sleepUntil: (deadline, signal) => clock.sleepUntil(new Date(deadline.getTime() - offsetMs), signal),
    elapsedMs: () => clock.elapsedMs(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
    setOffset: (ms) => void (offsetMs = ms),
  };
}

/** The clocks of the servers, and the one that all clients share. */
export interface Clocks {
  /** The environment of each server. */
  readonly envs: readonly Readonly<Record<string, string>>[];
  /** Sets all clocks to another hour, as on one machine. */
  step(random: Random): Promise<void>;
  /** Sets the clock of one server an hour forward or back; returns a function that corrects it. */
  strayClock(server: number, random: Random): Promise<() => Promise<void>>;
  /** Sets all clocks far enough ahead that every certificate of the storm is valid. */
  settle(): Promise<void>;
}

const HOUR_MS = 3_600_000;
/** The offsets from the right time, in hours, to which the clocks are set. */
const HOURS = [-1, 0, 1];
/** The offset at the first start, so that the certificates that it issues are valid at all others. */
const FIRST_START = -3;

/** Creates the clocks of some servers, with their files in a folder. */
export async function createClocks(folder: string, servers: number, clients: SettableClock): Promise<Clocks> {
  const clocks: ProgramClock[] = [];
  for (let index = 0; index < servers; index++) {
    clocks.push(await createProgramClock(join(folder, `clock-${index}`), format(FIRST_START), "UTC"));
  }
  let current = FIRST_START;
  clients.setOffset(FIRST_START * HOUR_MS);
  async function setAll(hours: number): Promise<void> {
    current = hours;
    clients.setOffset(hours * HOUR_MS);
    await Promise.all(clocks.map((clock) => clock.set(format(hours))));
  }
  return {
    envs: clocks.map(({ env }) => env),
    async step(random) {
      await setAll(pick(random, HOURS.filter((hours) => hours !== current)));
    },
    async strayClock(server, random) {
      const clock = clocks[server]!;
      await clock.set(format(current + (random.float() < 0.5 ? -1 : 1)));
      return async () => await clock.set(format(current));
    },
    settle: () => setAll(Math.max(...HOURS) + 1),
  };
}

function format(hours: number): string {
  return `${hours < 0 ? "" : "+"}${hours}h`;
}
