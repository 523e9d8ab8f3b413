/** Finds the known word that is closest to a mistyped one. */

/** The maximum number of edits, whatever the length of the words. */
const MAX_EDITS = 3;
/** The letters of the longer word per allowed edit, so that `logs` does not match `docs`, and `revoke` not `restore`. */
const LETTERS_PER_EDIT = 4;

/**
 * Finds the only candidate that starts with the word, or else the first of the nearest ones; undefined if none is near. This
 * resembles cobra's suggestions in kubectl (`SuggestionsFor`: two edits or a prefix), but the number of allowed edits grows
 * with the length, because two edits turn most four-letter words into another word.
 */
export function findNearest(word: string, candidates: Iterable<string>): string | undefined {
  const typed = word.toLowerCase();
  const known = [...candidates];
  const completions = typed.length < 2 ? [] : known.filter((candidate) => candidate.toLowerCase().startsWith(typed));
  if (completions.length === 1) return completions[0];
  let best: string | undefined;
  let bestEdits = MAX_EDITS + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - typed.length) > MAX_EDITS) continue;
    const edits = countEdits(typed, candidate.toLowerCase());
    if (edits < bestEdits && edits <= maxEdits(Math.max(typed.length, candidate.length))) {
      best = candidate;
      bestEdits = edits;
    }
  }
  return best;
}

/** Returns the number of allowed edits: one from three letters on, and one per four letters from eight on. */
function maxEdits(length: number): number {
  return length < 3 ? 0 : Math.max(1, Math.floor(length / LETTERS_PER_EDIT));
}

/** Counts insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function countEdits(from: string, to: string): number {
  let beforeLast: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const isSame = from[row - 1] === to[column - 1];
      let edits = Math.min(
        at(previous, column) + 1,
        at(current, column - 1) + 1,
        at(previous, column - 1) + (isSame ? 0 : 1),
      );
      const isSwap = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (isSwap) edits = Math.min(edits, at(beforeLast, column - 2) + 1);
      current.push(edits);
    }
    beforeLast = previous;
    previous = current;
  }
  return at(previous, to.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
