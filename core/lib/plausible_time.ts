/** Times that a clock cannot show: those before the program was built. */

/**
 * A clock may be this far behind the time of the build: the builder's clock may be ahead, and a clock that was set to
 * local time in place of UTC differs by up to 14 hours.
 */
const TOLERANCE_MS = 24 * 3_600_000;

/**
 * Reports whether a clock can be right, for a program that was built at a time. A machine without a battery-backed clock
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
