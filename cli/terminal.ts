/** Asks on the terminal: a yes-or-no question, or for a line that is not echoed, such as a passphrase. */
import type { Io, Tools } from "./io.ts";
import { AppError } from "../core/errors.ts";

/** Reports whether the command can ask, because both streams are terminals. */
export function canAsk(io: Pick<Io, "stdin" | "stderr">): boolean {
  return io.stdin.isTerminal && io.stderr.isTerminal;
}

/** Asks a question. Resolves with false for any answer other than `y` and `yes`. */
export async function confirm(
  question: string,
  { stdin, stderr, signal }: Pick<Tools, "stdin" | "stderr" | "signal">,
): Promise<boolean> {
  stderr.write(`${question} [y/N] `);
  const answer = await stdin.readLine(signal);
  return /^\s*y(es)?\s*$/i.test(answer ?? "");
}

/** The methods of a terminal's input stream that `readHidden` uses. */
export interface TerminalInput {
  setEncoding(encoding: "utf8"): unknown;
  setRawMode(isRaw: boolean): unknown;
  resume(): unknown;
  pause(): unknown;
  on(event: "data", listener: (chunk: string) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  off(event: "data", listener: (chunk: string) => void): unknown;
  off(event: "end", listener: () => void): unknown;
}

const ENTER = new Set(["\r", "\n"]);
const ERASE = new Set(["\u007f", "\b"]);
const ERASE_ALL = "\u0015";
const INTERRUPT = "\u0003";
const END = "\u0004";

/**
 * Reads one line in raw mode, in which nothing is echoed and signals arrive as characters: Ctrl-C rejects with AppError
 * `aborted`, Ctrl-D on an empty line resolves with undefined. The terminal's mode is always restored.
 */
export function readHidden(stream: TerminalInput, signal: AbortSignal): Promise<string | undefined> {
  signal.throwIfAborted();
  stream.setEncoding("utf8");
  stream.setRawMode(true);
  return new Promise((resolve, reject) => {
    let typed: string[] = [];
    const finish = (settle: () => void): void => {
      stream.setRawMode(false);
      stream.pause();
      stream.off("data", onChunk);
      stream.off("end", onEnd);
      signal.removeEventListener("abort", onAbort);
      settle();
    };
    const onChunk = (chunk: string): void => {
      for (const character of chunk) {
        if (ENTER.has(character)) return finish(() => resolve(typed.join("")));
        if (character === INTERRUPT) return finish(() => reject(new AppError("aborted", "interrupted")));
        if (character === END && typed.length === 0) return finish(() => resolve(undefined));
        if (ERASE.has(character)) typed.pop();
        else if (character === ERASE_ALL) typed = [];
        else if (character >= " ") typed.push(character);
      }
    };
    const onEnd = (): void => finish(() => resolve(undefined));
    const onAbort = (): void => finish(() => reject(signal.reason));
    stream.on("data", onChunk);
    stream.on("end", onEnd);
    signal.addEventListener("abort", onAbort, { once: true });
    stream.resume();
  });
}
