/**
 * JSON as kubectl prints it: four spaces, keys sorted, `<`, `>` and `&` escaped as in Go. Terminal control characters are
 * escaped too.
 */
import { escapeUnseen } from "../../core/lib/printable.ts";

/** Formats a value, with a line break at its end. Undefined members are omitted. */
export function formatJson(value: unknown): string {
  const text = JSON.stringify(sortKeys(value), undefined, 4);
  const likeGo = text.replace(/[<>&]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `${escapeUnseen(likeGo)}\n`;
}

/** Copies a value with the keys of every object sorted by their bytes. */
export function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const plain: Readonly<Record<string, unknown>> = "toJSON" in value ? JSON.parse(JSON.stringify(value)) : { ...value };
  const keys = Object.keys(plain).sort();
  // A null prototype, so that no key is special.
  const sorted: Record<string, unknown> = Object.create(null);
  for (const key of keys) sorted[key] = sortKeys(plain[key]);
  return sorted;
}
