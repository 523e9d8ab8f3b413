/**
 * A flood of requests must not become a flood of lines: of one message the first few are written, and of the rest how
 * many there were.
 */
import type { Clock, LogFields, Logger } from "../core/ports.ts";

/** Of each message this many lines in a window are written. */
const LINES = 20;
const WINDOW_MS = 10_000;

type Level = "debug" | "info" | "warn" | "error";

interface Window {
  written: number;
  leftOut: number;
}

/** A logger that counts what repeats; messages are constants, so that there are only so many. `signal` ends its waits. */
export function limitRepeats(logger: Logger, clock: Clock, signal: AbortSignal): Logger {
  const windows = new Map<string, Window>();

  function isWritten(level: Level, message: string): boolean {
    const key = `${level} ${message}`;
    const window = windows.get(key);
    if (window === undefined) {
      windows.set(key, { written: 1, leftOut: 0 });
      clock.sleep(WINDOW_MS, signal).then(() => close(level, message), () => close(level, message));
      return true;
    }
    if (window.written < LINES) {
      window.written++;
      return true;
    }
    window.leftOut++;
    return false;
  }

  function close(level: Level, message: string): void {
    const key = `${level} ${message}`;
    const leftOut = windows.get(key)?.leftOut ?? 0;
    windows.delete(key);
    if (leftOut > 0) logger[level]("lines left out", { repeated: message, count: leftOut, seconds: WINDOW_MS / 1000 });
  }

  const scoped = (target: Logger): Logger => {
    const at = (level: Level) => (message: string, fields?: LogFields): void => {
      if (isWritten(level, message)) target[level](message, fields);
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
