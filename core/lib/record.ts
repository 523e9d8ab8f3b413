/** Tells a JSON object, or any other object with named members, from lists and scalars. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
