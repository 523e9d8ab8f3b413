/** The natural order of texts, in which `n2` is before `n10`. */

/**
 * Compares two texts in natural order: digits before other characters, and numbers by their value
 * (as github.com/fvbommel/sortorder does). Usable with `Array.sort`.
 */
export function compareNaturally(left: string, right: string): number {
  let [l, r] = [0, 0];
  while (l < left.length && r < right.length) {
    const [leftIsDigit, rightIsDigit] = [isDigit(left[l]), isDigit(right[r])];
    if (leftIsDigit !== rightIsDigit) return leftIsDigit ? -1 : 1;
    if (!leftIsDigit) {
      const order = compareTexts(left[l] ?? "", right[r] ?? "");
      if (order !== 0) return order;
      l++;
      r++;
      continue;
    }
    const [leftNumber, rightNumber] = [readNumber(left, l), readNumber(right, r)];
    const order = leftNumber.digits.length - rightNumber.digits.length ||
      compareTexts(leftNumber.digits, rightNumber.digits) ||
      leftNumber.zeros - rightNumber.zeros;
    if (order !== 0) return order;
    l = leftNumber.end;
    r = rightNumber.end;
  }
  return (left.length - l) - (right.length - r);
}

/** Reads the number at a place: its leading zeros apart from its other digits. */
function readNumber(
  text: string,
  at: number,
): { readonly zeros: number; readonly digits: string; readonly end: number } {
  let from = at;
  while (text[from] === "0") from++;
  let end = from;
  while (isDigit(text[end])) end++;
  return { zeros: from - at, digits: text.slice(from, end), end };
}

function isDigit(character = ""): boolean {
  return character >= "0" && character <= "9";
}

function compareTexts(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
