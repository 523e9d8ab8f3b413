/** Progress on a terminal's stderr; elsewhere nothing. */
import type { Io } from "../io.ts";
import { escapeValue } from "./escape.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/** Fast enough to look alive, slow enough to cost nothing. */
const FRAME_MS = 80;
const ERASE_LINE = "\r\x1b[2K";

/** A spinner with a text, or a bar when a total is known. Disposing ends it and erases its line. */
export interface Progress extends Disposable {
  /** Replaces the text; `done` of `total` draws a bar. */
  update(text: string, part?: { readonly done: number; readonly total: number }): void;
}

/** Starts showing that something is waited for. Nothing is shown unless stderr is a terminal that is not `dumb`. */
export function startProgress(io: Pick<Io, "stderr" | "env">, text: string): Progress {
  if (!io.stderr.isTerminal || io.env["TERM"] === "dumb") {
    return { update: () => {}, [Symbol.dispose]: () => {} };
  }
  let line = text;
  let frame = 0;
  const draw = (): void => {
    // Some terminals do not know their width and say 0.
    const columns = io.stderr.columns || 80;
    io.stderr.write(`${ERASE_LINE}${`${FRAMES[frame % FRAMES.length]} ${escapeValue(line)}`.slice(0, columns - 1)}`);
    frame++;
  };
  draw();
  const timer = setInterval(draw, FRAME_MS);
  return {
    update(next, part) {
      line = part === undefined ? next : `${drawBar(part.done, part.total)} ${next}`;
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      io.stderr.write(ERASE_LINE);
    },
  };
}

/** `[#####-----] 5/10`. */
export function drawBar(done: number, total: number, width = 20): string {
  const filled = total <= 0 ? width : Math.round(Math.min(1, done / total) * width);
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${done}/${total}`;
}
