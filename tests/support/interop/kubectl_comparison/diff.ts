/** Two texts as one: lines that both have, and those that only one has, with a minus (left) or a plus (right). */

/** Compares line by line, by their longest common subsequence. */
export function formatDiff(left: string, right: string): string {
  const [a, b] = [left.split("\n"), right.split("\n")];
  // length[i][j] is that of the common subsequence of a from i and b from j.
  const length = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i]![j] = a[i] === b[j] ? length[i + 1]![j + 1]! + 1 : Math.max(length[i + 1]![j]!, length[i]![j + 1]!);
    }
  }
  const out: string[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      out.push(`  ${a[i++]}`);
      j++;
    } else if (j >= b.length || (i < a.length && length[i + 1]![j]! >= length[i]![j + 1]!)) out.push(`- ${a[i++]}`);
    else out.push(`+ ${b[j++]}`);
  }
  return `${out.join("\n").trimEnd()}\n`;
}
