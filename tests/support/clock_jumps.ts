/** How far clocks are set by people, by NTP after a boot without a battery, and by daylight saving on a clock of local time. */

const HOUR_MS = 3_600_000;

export const CLOCK_JUMPS: readonly { readonly name: string; readonly ms: number }[] = [
  { name: "an hour forward", ms: HOUR_MS },
  { name: "an hour back", ms: -HOUR_MS },
  { name: "a year forward", ms: 365 * 24 * HOUR_MS },
  { name: "a year back", ms: -365 * 24 * HOUR_MS },
];
