/** The natural order of names: the numbers in them count by their value, so n2 comes before n10. */

/**
 * Compares two texts in natural order: digits before other characters, and numbers by their value
 * (as github.com/fvbommel/sortorder does). Usable with `Array.sort`.
 */
export function compareNaturally(left: string, right: string): number {
  let [l, r] = [0, 0];
  while (l < left.length && r < right.length) {
    const [leftCode, rightCode] = [left.charCodeAt(l), right.charCodeAt(r)];
    if (isDigit(leftCode) !== isDigit(rightCode)) return isDigit(leftCode) ? -1 : 1;
    if (!isDigit(leftCode)) {
      if (leftCode !== rightCode) return leftCode - rightCode;
      l++;
      r++;
      continue;
    }
    const [leftNumber, rightNumber] = [readNumber(left, l), readNumber(right, r)];
    const order = leftNumber.digits.length - rightNumber.digits.length ||
      (leftNumber.digits < rightNumber.digits ? -1 : leftNumber.digits > rightNumber.digits ? 1 : 0) ||
      leftNumber.zeros - rightNumber.zeros;
    if (order !== 0) return order;
    l = leftNumber.end;
    r = rightNumber.end;
  }
  return (left.length - l) - (right.length - r);
}

/** Reads the number at an index: the count of its leading zeros, and its other digits. */
function readNumber(
  text: string,
  at: number,
): { readonly zeros: number; readonly digits: string; readonly end: number } {
  let from = at;
  while (text[from] === "0") from++;
  let end = from;
  while (isDigit(text.charCodeAt(end))) end++;
  return { zeros: from - at, digits: text.slice(from, end), end };
}

/** Reports whether a character code is one of `0` to `9`. */
function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}
