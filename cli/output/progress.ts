/** Shows progress on stderr, if it is a terminal, and the steps of commands that wait. */
import type { Clock } from "../../core/ports.ts";
import type { Io, OutputStream } from "../io.ts";
import { escapeValue } from "../../core/lib/printable.ts";
import { ERASE_LINE } from "./escape.ts";
import { cutTo } from "./layout.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/** The time between two frames: short enough to look alive, and long enough to need hardly any processor time. */
const FRAME_MS = 80;
/**
 * A line with a spinner or a bar, a text, the time at which the wait ends, and the elapsed time. Disposing it erases the
 * line.
 */
export interface ProgressLine extends Disposable {
  /** Replaces the text. A new text is drawn at once, because the process may be too busy to draw afterwards. */
  update(text: string, part?: ProgressPart): void;
}

/** The finished part: a share, which is drawn as a bar, or an amount, which is shown after the text. */
type ProgressPart = string | FinishedShare;

interface FinishedShare {
  readonly done: number;
  readonly total: number;
  /** Formats both numbers. Default: as they are. */
  readonly format?: (amount: number) => string;
}

/** The part of `Io` that progress uses. */
export interface ProgressIo {
  readonly stderr: OutputStream;
  readonly env: Io["env"];
  readonly clock: Pick<Clock, "elapsedMs" | "now">;
}

/**
 * Starts to show progress. `until` is the latest end of the wait. Nothing is shown if stderr is not a terminal or TERM is
 * `dumb`, or while the process is in the background, where the line has the shell's prompt.
 */
export function startProgress(io: ProgressIo, text: string, until?: Date): ProgressLine {
  if (!io.stderr.isTerminal || io.env["TERM"] === "dumb") {
    return { update: () => {}, [Symbol.dispose]: () => {} };
  }
  const startedAt = io.clock.elapsedMs();
  const limit = until === undefined ? "" : `, until ${formatLocalTime(until, io.clock.now())}`;
  let shown = { text, line: text };
  let frame = 0;
  let isDrawn = false;
  const draw = (): void => {
    if (io.stderr.isForeground === false) return;
    const columns = io.stderr.columns ?? 80;
    const end = `${limit}${formatElapsed(io.clock.elapsedMs() - startedAt)}`;
    const width = Math.max(columns - 3 - end.length, MIN_TEXT_WIDTH);
    const line = `${FRAMES[frame % FRAMES.length]} ${cutTo(escapeValue(shown.line), width)}${end}`;
    writeTransient(io.stderr, line.slice(0, columns - 1));
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
      if (isDrawn && io.stderr.isForeground !== false) writeTransient(io.stderr, "");
      isDrawn = false;
    },
  };
}

/** The smallest width of the text. On a narrower terminal the time is cut instead. */
const MIN_TEXT_WIDTH = 20;

/** Draws a line that the next output replaces, or erases the line first if the stream does not support that. */
function writeTransient(stream: OutputStream, line: string): void {
  if (stream.writeTransient === undefined) stream.write(`${ERASE_LINE}${line}`);
  else stream.writeTransient(line);
}

function withPart(text: string, part: ProgressPart | undefined): string {
  if (part === undefined) return text;
  if (typeof part === "string") return `${text}, ${part}`;
  return `${drawBar(part)} ${text}`;
}

const BAR_WIDTH = 20;

/** The text to show while a key is derived from a passphrase, which takes up to two seconds. */
export const DERIVING_KEY = "deriving the key from the passphrase";

/** Formats a number of bytes: `3.2 MB`. */
export function formatMegabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** Draws a bar of a fixed width: `[##########----------] 5/10`. */
export function drawBar({ done, total, format = String }: FinishedShare): string {
  const filled = total <= 0 ? BAR_WIDTH : Math.round(Math.min(1, done / total) * BAR_WIDTH);
  return `[${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}] ${format(done)}/${format(total)}`;
}

/** Formats whole seconds, as in ` (12s)`, ` (2m05s)` or ` (1h02m)`; empty during the first second. */
function formatElapsed(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return "";
  if (seconds < 60) return ` (${seconds}s)`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return ` (${minutes}m${padTwo(seconds % 60)}s)`;
  return ` (${Math.floor(minutes / 60)}h${padTwo(minutes % 60)}m)`;
}

/**
 * Formats a future time for the user, in the local time zone: `14:05`, with seconds if it is less than two minutes away, and
 * with the date if it is on another day.
 */
export function formatLocalTime(time: Date, now: Date): string {
  const day = (date: Date): string => `${date.getFullYear()}-${padTwo(date.getMonth() + 1)}-${padTwo(date.getDate())}`;
  const isSoon = time.getTime() - now.getTime() < 120_000;
  const clock = [time.getHours(), time.getMinutes(), ...(isSoon ? [time.getSeconds()] : [])].map(padTwo).join(":");
  return day(time) === day(now) ? clock : `${day(time)} ${clock}`;
}

function padTwo(number: number): string {
  return String(number).padStart(2, "0");
}

/** Prints each step as a line on stderr, with a spinner after the last one. Disposing it ends the spinner. */
export interface Steps extends Disposable {
  /** Prints a step. The spinner after it shows what the command waits for, and until when. */
  step(text: string, awaited?: AwaitedEvent): void;
}

/** What the command waits for, such as `approval`, and the latest end of the wait. */
export interface AwaitedEvent {
  readonly what: string;
  readonly until?: Date | undefined;
}

/** Creates the steps. No spinner is shown before the first step, or after disposal, when others write to the terminal. */
export function createSteps(io: ProgressIo): Steps {
  let spinner: ProgressLine | undefined;
  let isEnded = false;
  return {
    step(text, awaited) {
      spinner?.[Symbol.dispose]();
      io.stderr.write(`${escapeValue(text)}\n`);
      if (isEnded) return;
      spinner = startProgress(io, awaited === undefined ? "working" : `waiting for ${awaited.what}`, awaited?.until);
    },
    [Symbol.dispose]() {
      isEnded = true;
      spinner?.[Symbol.dispose]();
    },
  };
}

/** Returns the time at which a wait that begins now ends; undefined without a limit. */
export function findDeadline(waitMs: number, clock: Pick<Clock, "now">): Date | undefined {
  return waitMs <= 0 || waitMs === Infinity ? undefined : new Date(clock.now().getTime() + waitMs);
}
