/** The trace of a run: a line of text for each event, with the same bytes for the same seed. */
import { createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";

/** Computes the digest of the lines, and optionally writes them to a file. */
export interface Trace {
  /** Adds a line with the simulated time, the host, and what happened there. */
  add(host: string, what: string): void;
  readonly lines: number;
  /** Calls a function once after a number of further lines. */
  after(lines: number, run: () => void): void;
  /** Closes the file and returns the SHA-256 of all bytes in hex. */
  end(): string;
}

/** The number of characters that are buffered before they are hashed and written. */
const BUFFERED_CHARACTERS = 65_536;

/** Creates a trace; `nowMs` returns the simulated time, and `path` is for a file with all lines. */
export function createTrace(nowMs: () => number, path?: string): Trace {
  const hash = createHash("sha256");
  const file = path === undefined ? undefined : openSync(path, "w");
  let text = "";
  let lines = 0;
  let waiting: { readonly at: number; readonly run: () => void }[] = [];
  const flush = (): void => {
    hash.update(text);
    if (file !== undefined) writeSync(file, text);
    text = "";
  };
  return {
    add(host, what) {
      text += `${formatTime(nowMs())} ${host} ${what}\n`;
      lines++;
      if (waiting.length > 0) {
        const due = waiting.filter(({ at }) => at <= lines);
        waiting = waiting.filter(({ at }) => at > lines);
        for (const { run } of due) run();
      }
      if (text.length > BUFFERED_CHARACTERS) flush();
    },
    after(more, run) {
      waiting.push({ at: lines + more, run });
    },
    get lines() {
      return lines;
    },
    end() {
      flush();
      if (file !== undefined) closeSync(file);
      return hash.digest("hex");
    },
  };
}

/** Formats a simulated time as days, hours, minutes, seconds and milliseconds, such as `12d03:04:05.678`. */
export function formatTime(ms: number): string {
  const whole = Math.floor(ms);
  const part = (unit: number, below: number, width: number): string =>
    String(Math.floor(whole / unit) % below).padStart(width, "0");
  const time = `${part(3_600_000, 24, 2)}:${part(60_000, 60, 2)}:${part(1_000, 60, 2)}.${part(1, 1_000, 3)}`;
  return `${Math.floor(whole / 86_400_000)}d${time}`;
}
