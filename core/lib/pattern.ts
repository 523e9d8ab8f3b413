/** Patterns of policies and profiles. Without regular expressions: patterns come from an operator, values from anybody. */

/** A character that must stand there, or one or more of some characters. */
type Token = string | ((char: string) => boolean);

/**
 * Tells whether a value is what a pattern says. `*` stands for one or more characters, with a separator within one part;
 * it never stands for a star, so a wildcard name must be named as it is.
 */
export function matchesPattern(value: string, pattern: string, separator = ""): boolean {
  if (value === pattern) return true;
  const isWild = (char: string) => char !== "*" && !separator.includes(char);
  return matchesTokens(value, [...pattern].map((char) => char === "*" ? isWild : char));
}

/**
 * The same for a pattern in which `${requester}` stands for the requester's name. The name is compared character by
 * character: a star in it is a star.
 */
export function matchesRequesterPattern(value: string, pattern: string, requester: string): boolean {
  const parts = pattern.split("${requester}");
  if (value === parts.join(requester)) return true;
  const isWild = (char: string) => char !== "*";
  const tokens = parts.flatMap((part, index): Token[] => [
    ...(index === 0 ? [] : requester),
    ...[...part].map((char) => char === "*" ? isWild : char),
  ]);
  return matchesTokens(value, tokens);
}

/**
 * The same with two kinds of stars: `*` stands for one or more characters that are none of the separators, `**` for one
 * or more of any. Neither stands for a star or a control character.
 */
export function matchesDeepPattern(value: string, pattern: string, separators: string): boolean {
  const isAny = (char: string) => char !== "*" && !CONTROL.test(char);
  const isWild = (char: string) => isAny(char) && !separators.includes(char);
  const tokens = (pattern.match(/\*\*|[^]/gu) ?? []).map((part): Token =>
    part === "**" ? isAny : part === "*" ? isWild : part
  );
  return matchesTokens(value, tokens);
}

const CONTROL = /\p{C}|\u2028|\u2029/u;

/** Walks the value once, with every place of the pattern that may be next: no backtracking, whatever the value. */
function matchesTokens(value: string, tokens: readonly Token[]): boolean {
  let places: ReadonlySet<number> = new Set([0]);
  for (const char of value) {
    const next = new Set<number>();
    for (const place of places) {
      const token = tokens[place];
      if (token === char) next.add(place + 1);
      // After the first character of a star both go on: the star, and what follows it.
      else if (typeof token === "function" && token(char)) next.add(place).add(place + 1);
    }
    if (next.size === 0) return false;
    places = next;
  }
  return places.has(tokens.length);
}
