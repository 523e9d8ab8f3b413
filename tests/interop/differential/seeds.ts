/** The seed of a day, the same all over the world: 20261127 on 27 November 2026. */
export function seedOfDay(now: Date): number {
  return Number(now.toISOString().slice(0, 10).replaceAll("-", ""));
}
