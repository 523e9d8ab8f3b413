/** Patterns of policies and profiles. Without regular expressions: patterns come from an operator, values from anybody. */

/**
 * Tells whether a value is what a pattern says. `*` stands for one or more characters, with a separator within one part;
 * it never stands for a star, so a wildcard name must be named as it is.
 */
export function matchesPattern(value: string, pattern: string, separator = ""): boolean {
  if (value === pattern) return true;
  const [prefix = "", ...parts] = pattern.split("*");
  const suffix = parts.pop();
  if (suffix === undefined || !value.startsWith(prefix)) return false;
  let at = prefix.length;
  for (const part of parts) {
    const next = value.indexOf(part, at + 1);
    if (next < 0 || !isWild(value.slice(at, next), separator)) return false;
    at = next + part.length;
  }
  return value.endsWith(suffix) && isWild(value.slice(at, Math.max(at, value.length - suffix.length)), separator);
}

function isWild(text: string, separator: string): boolean {
  return text !== "" && !text.includes("*") && (separator === "" || !text.includes(separator));
}
