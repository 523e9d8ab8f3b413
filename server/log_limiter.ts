/**
 * Limits repeated log lines, so that a flood of requests does not become a flood of text. In each window a message is
 * written only a few times, fewer if its lines are long; the end of the window reports how many lines were omitted.
 */
import { MAX_LOGGED_LENGTH } from "../core/lib/printable.ts";
import type { Clock, LogFields, Logger } from "../core/ports.ts";

/** The largest number of lines and of bytes that one message may have in a window. */
const MAX_LINES = 20;
const MAX_BYTES = 16_384;
const WINDOW_MS = 10_000;

type Level = "debug" | "info" | "warn" | "error";

interface Window {
  lines: number;
  bytes: number;
  omitted: number;
}

/** Creates a logger that limits the lines of each message; messages are constants. `signal` ends its windows. */
export function limitRepeats(logger: Logger, clock: Clock, signal: AbortSignal): Logger {
  const windows = new Map<string, Window>();

  function isWritten(level: Level, message: string, fields: LogFields): boolean {
    const key = `${level} ${message}`;
    let window = windows.get(key);
    if (window === undefined) {
      windows.set(key, window = { lines: 0, bytes: 0, omitted: 0 });
      clock.sleep(WINDOW_MS, signal).then(() => close(level, message), () => close(level, message));
    }
    if (window.lines >= MAX_LINES || window.bytes >= MAX_BYTES) {
      window.omitted++;
      return false;
    }
    window.lines++;
    window.bytes += message.length + estimateLength(fields);
    return true;
  }

  function close(level: Level, message: string): void {
    const key = `${level} ${message}`;
    const omitted = windows.get(key)?.omitted ?? 0;
    windows.delete(key);
    if (omitted > 0) {
      logger[level]("repeated lines omitted", { repeated: message, count: omitted, seconds: WINDOW_MS / 1000 });
    }
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

/** Estimates the number of bytes that fields take in a line, where long texts are truncated. */
function estimateLength(value: unknown): number {
  if (typeof value === "string") return Math.min(value.length, MAX_LOGGED_LENGTH);
  if (value instanceof Error) return estimateLength(value.message);
  if (typeof value !== "object" || value === null) return 8;
  return Object.entries(value).reduce((length, [name, item]) => length + name.length + estimateLength(item), 0);
}
