/**
 * The clock of a machine that may not have been set since it was started. A certificate or a signature with a time
 * before the program was built would be wrong, so the commands of a CA refuse to run, and those of a machine wait.
 */
import { AppError } from "../core/errors.ts";
import { formatTime } from "../core/kube/meta.ts";
import { BUILD } from "../core/version.ts";
import type { Io } from "./io.ts";
import { createSteps, type ProgressIo } from "./output/progress.ts";
import { UsageError } from "./exit_code.ts";

/** The variable that replaces the time of the build, for example for tests with a clock in the past. */
const VARIABLE = "TLSBOOT_EARLIEST_TIME";

/** The build time of sources that run directly. tlsboot did not exist before it. */
const EARLIEST_OF_SOURCES = "2024-01-01T00:00:00Z";

/** The interval at which a clock that is not set yet is checked. */
const PAUSE_MS = 1_000;

/** Throws AppError `clock_not_set` if the clock shows a time before the build of the program. */
export function assertPlausibleClock(
  { clock, env }: Pick<Io, "env"> & { readonly clock: Pick<Io["clock"], "now"> },
): void {
  const now = clock.now();
  const builtAt = getEarliestTime(env);
  if (isPlausibleTime(now, builtAt)) return;
  throw new AppError("clock_not_set", `cannot use the CA: ${describeFault(now, builtAt)}`, { hint: HINT });
}

/**
 * Waits until the clock shows a time after the build of the program, and prints once that it waits. Throws AppError
 * `clock_not_set` after `limitMs`.
 */
export async function waitForPlausibleClock(
  io: ProgressIo & Pick<Io, "env" | "clock">,
  limitMs: number,
  signal: AbortSignal,
): Promise<void> {
  const { clock, env } = io;
  const builtAt = getEarliestTime(env);
  if (isPlausibleTime(clock.now(), builtAt)) return;
  using steps = createSteps(io);
  steps.step(`${describeFault(clock.now(), builtAt)}; waiting until it is set`, { what: "the clock" });
  const startedAt = clock.elapsedMs();
  while (!isPlausibleTime(clock.now(), builtAt)) {
    const leftMs = limitMs - (clock.elapsedMs() - startedAt);
    if (leftMs <= 0) {
      const fault = describeFault(clock.now(), builtAt);
      throw new AppError("clock_not_set", `cannot request a certificate: ${fault}`, { hint: HINT });
    }
    await clock.sleep(Math.min(PAUSE_MS, leftMs), signal);
  }
  steps.step(`this machine's clock was set: ${formatTime(clock.now())}`);
}

const HINT = 'set the clock, by NTP or with: date -u -s "YYYY-MM-DD hh:mm:ss"';

function describeFault(now: Date, builtAt: Date): string {
  return `this machine's clock says ${formatTime(now)}, but this program was built at ${formatTime(builtAt)}`;
}

function getEarliestTime(env: Io["env"]): Date {
  const given = env[VARIABLE] ?? "";
  const time = parseUtcTime(given);
  if (time !== undefined) return time;
  if (given !== "") throw new UsageError(`${VARIABLE}: "${given}" found, want a time such as 2026-01-31T12:00:00Z`);
  return parseUtcTime(BUILD.date) ?? new Date(EARLIEST_OF_SOURCES);
}

/**
 * How far a clock may be behind the time of the build. The clock of the build machine may be fast, and a clock that was set
 * to local time instead of UTC differs by up to 14 hours.
 */
const TOLERANCE_MS = 24 * 3_600_000;

/**
 * Reports whether a clock can be right for a program with this build time. A machine without a battery-backed clock
 * starts in 1970, or where it was last switched off.
 */
export function isPlausibleTime(now: Date, builtAt: Date): boolean {
  return now.getTime() >= builtAt.getTime() - TOLERANCE_MS;
}

/** Parses a time such as `2026-01-31T12:00:00Z`; undefined for anything else. */
export function parseUtcTime(text: string): Date | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) return undefined;
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? undefined : time;
}
