/**
 * A flood of requests must not become a flood of text in the log: of one message the first few lines are written, fewer
 * where they are long, and of the rest how many there were.
 */
import { MAX_LOGGED_LENGTH } from "../core/lib/printable.ts";
import type { Clock, LogFields, Logger } from "../core/ports.ts";

/** Of each message this many lines are written in a window, while they have no more than this many bytes together. */
const LINES = 20;
const BYTES = 16_384;
const WINDOW_MS = 10_000;

type Level = "debug" | "info" | "warn" | "error";

interface Window {
  lines: number;
  bytes: number;
  leftOut: number;
}

/** A logger that counts what repeats; messages are constants, so that there are only so many. `signal` ends its waits. */
export function limitRepeats(logger: Logger, clock: Clock, signal: AbortSignal): Logger {
  const windows = new Map<string, Window>();

  function isWritten(level: Level, message: string, fields: LogFields): boolean {
    const key = `${level} ${message}`;
    let window = windows.get(key);
    if (window === undefined) {
      windows.set(key, window = { lines: 0, bytes: 0, leftOut: 0 });
      clock.sleep(WINDOW_MS, signal).then(() => close(level, message), () => close(level, message));
    }
    if (window.lines >= LINES || window.bytes >= BYTES) {
      window.leftOut++;
      return false;
    }
    window.lines++;
    window.bytes += message.length + lengthInLog(fields);
    return true;
  }

  function close(level: Level, message: string): void {
    const key = `${level} ${message}`;
    const leftOut = windows.get(key)?.leftOut ?? 0;
    windows.delete(key);
    if (leftOut > 0) logger[level]("lines left out", { repeated: message, count: leftOut, seconds: WINDOW_MS / 1000 });
  }

  const scoped = (target: Logger): Logger => {
    const at = (level: Level) => (message: string, fields?: LogFields): void => {
      if (isWritten(level, message, fields ?? {})) target[level](message, fields);
    };
    return {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      with: (fields) => scoped(target.with(fields)),
    };
  };
  return scoped(logger);
}

/** About how many bytes fields take up in a line, where long texts are cut. */
function lengthInLog(value: unknown): number {
  if (typeof value === "string") return Math.min(value.length, MAX_LOGGED_LENGTH);
  if (value instanceof Error) return lengthInLog(value.message);
  if (typeof value !== "object" || value === null) return 8;
  return Object.entries(value).reduce((length, [name, item]) => length + name.length + lengthInLog(item), 0);
}
