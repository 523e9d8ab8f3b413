/** Progress on stderr, if it is a terminal, and the steps of commands that wait. */
import type { Clock } from "../../core/ports.ts";
import type { Io, OutputStream } from "../io.ts";
import { escapeValue } from "./escape.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/** The time between two frames: short enough to look alive, long enough to cost nothing. */
const FRAME_MS = 80;
const ERASE_LINE = "\r\x1b[2K";

/**
 * A line with a spinner, a text and the time since it began, or with a bar when the total is known. Disposing it erases
 * the line.
 */
export interface ProgressLine extends Disposable {
  /**
   * Replaces the text. `done` and `total` draw a bar; an amount without a total is shown after the text. A new text is
   * drawn at once, because the process may be too busy to draw afterwards.
   */
  update(text: string, part?: { readonly done: number; readonly total: number } | string): void;
}

/** The part of `Io` that progress uses. */
export interface ProgressIo {
  readonly stderr: OutputStream;
  readonly env: Io["env"];
  readonly clock: Pick<Clock, "elapsedMs">;
}

/**
 * Starts to show progress. Nothing is shown unless stderr is a terminal that is not `dumb`, and nothing while the process
 * is in the background, because the line then belongs to the shell's prompt.
 */
export function startProgress(io: ProgressIo, text: string): ProgressLine {
  if (!io.stderr.isTerminal || io.env["TERM"] === "dumb") {
    return { update: () => {}, [Symbol.dispose]: () => {} };
  }
  const startedAt = io.clock.elapsedMs();
  let shown = { text, line: text };
  let frame = 0;
  let isDrawn = false;
  const draw = (): void => {
    if (io.stderr.isForeground === false) return;
    // Some terminals do not know their width and report 0.
    const columns = io.stderr.columns || 80;
    const elapsed = formatElapsed(io.clock.elapsedMs() - startedAt);
    const line = `${FRAMES[frame % FRAMES.length]} ${escapeValue(shown.line)}${elapsed}`;
    io.stderr.write(`${ERASE_LINE}${line.slice(0, columns - 1)}`);
    isDrawn = true;
    frame++;
  };
  draw();
  const timer = setInterval(draw, FRAME_MS);
  return {
    update(next, part) {
      const isNew = next !== shown.text;
      shown = { text: next, line: withPart(next, part) };
      if (isNew) draw();
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      if (isDrawn && io.stderr.isForeground !== false) io.stderr.write(ERASE_LINE);
      isDrawn = false;
    },
  };
}

function withPart(text: string, part: Parameters<ProgressLine["update"]>[1]): string {
  if (part === undefined) return text;
  return typeof part === "string" ? `${text}, ${part}` : `${drawBar(part.done, part.total)} ${text}`;
}

/** Formats a growing amount of bytes: `3.2 MB`. */
export function formatMegabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** Draws a bar of `width` characters: `[#####-----] 5/10`. */
export function drawBar(done: number, total: number, width = 20): string {
  const filled = total <= 0 ? width : Math.round(Math.min(1, done / total) * width);
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${done}/${total}`;
}

/** Formats whole seconds, as in ` (12s)` or ` (2m05s)`; empty during the first second. */
function formatElapsed(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return "";
  const rest = seconds % 60;
  return seconds < 60 ? ` (${seconds}s)` : ` (${Math.floor(seconds / 60)}m${String(rest).padStart(2, "0")}s)`;
}

/** Prints each step as a line on stderr, with a spinner after the last one. Disposing it ends the spinner. */
export interface Steps extends Disposable {
  step(text: string): void;
}

/** Creates the steps; nothing is shown before the first one. */
export function createSteps(io: ProgressIo): Steps {
  let spinner: ProgressLine | undefined;
  return {
    step(text) {
      spinner?.[Symbol.dispose]();
      io.stderr.write(`${escapeValue(text)}\n`);
      spinner = startProgress(io, "waiting");
    },
    [Symbol.dispose]() {
      spinner?.[Symbol.dispose]();
    },
  };
}
