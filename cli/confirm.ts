/** Asks a question on the terminal that only `y` or `yes` answers with yes. */
import type { Io, Tools } from "./io.ts";

/** Reports whether the command can ask: both streams are a terminal. */
export function canAsk(io: Pick<Io, "stdin" | "stderr">): boolean {
  return io.stdin.isTerminal && io.stderr.isTerminal;
}

/** Asks a question, and resolves with false for every answer but `y` and `yes`. */
export async function confirm(
  question: string,
  { stdin, stderr, signal }: Pick<Tools, "stdin" | "stderr" | "signal">,
): Promise<boolean> {
  stderr.write(`${question} [y/N] `);
  const answer = await stdin.readLine(signal);
  return /^\s*y(es)?\s*$/i.test(answer ?? "");
}
