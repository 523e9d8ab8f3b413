/**
 * Trims, splits and matches text in linear time and without regular expressions, because the text comes from unauthenticated
 * clients. An expression such as `/-+$/` would take quadratic time: it tries every run of the character, not only the last.
 */

function trimStartChars(text: string, characters: string): string {
  let start = 0;
  while (start < text.length && characters.includes(text[start]!)) start++;
  return text.slice(start);
}

/** Removes these characters from the end of the text. */
export function trimEndChars(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text[end - 1]!)) end--;
  return text.slice(0, end);
}

/** Removes these characters from both ends of the text. */
export function trimChars(text: string, characters: string): string {
  return trimEndChars(trimStartChars(text, characters), characters);
}

/** Splits a text at separators without a backslash before them. Escapes stay in the parts. */
export function splitUnescaped(text: string, isSeparator: (char: string, at: number) => boolean): string[] {
  const parts: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === "\\") at++;
    else if (isSeparator(char, at)) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...parts, text.slice(start)];
}

/** A literal character, or a test that one or more characters satisfy. */
type Token = string | ((char: string) => boolean);

/**
 * Reports whether a value matches a pattern. `*` matches one or more characters. It never matches a star, so a wildcard
 * name only matches a pattern that is equal to it.
 */
export function matchesPattern(value: string, pattern: string): boolean {
  return value === pattern || matchesTokens(value, toTokens(pattern));
}

function toTokens(pattern: string): Token[] {
  return [...pattern].map((char): Token => char === "*" ? (other) => other !== "*" : char);
}

/**
 * Reports whether a value matches a pattern in which `${requester}` is the requester's name, which is matched literally
 * even if it contains a star.
 */
export function matchesRequesterPattern(value: string, pattern: string, requester: string): boolean {
  const parts = pattern.split("${requester}");
  if (value === parts.join(requester)) return true;
  const tokens = parts.flatMap((part, index) => [...(index === 0 ? [] : requester), ...toTokens(part)]);
  return matchesTokens(value, tokens);
}

/**
 * Reports whether a value matches a pattern with two kinds of stars: `*` matches one or more characters other than
 * separators, `**` one or more of any characters. Neither matches a star or a control character.
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

/** Walks the value once and keeps the set of possible pattern positions, so there is no backtracking. */
function matchesTokens(value: string, tokens: readonly Token[]): boolean {
  let places: ReadonlySet<number> = new Set([0]);
  for (const char of value) {
    const next = new Set<number>();
    for (const place of places) {
      const token = tokens[place];
      if (token === char) next.add(place + 1);
      // After the first character of a star, the next character may belong to the star or to the token after it.
      else if (typeof token === "function" && token(char)) next.add(place).add(place + 1);
    }
    if (next.size === 0) return false;
    places = next;
  }
  return places.has(tokens.length);
}
