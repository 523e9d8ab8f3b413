/** A logger that records its lines in memory. */
import type { LogFields, Logger } from "../../core/ports.ts";

interface LogEntry {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: LogFields;
}

/** A logger whose lines a test can read, including those of its children. */
export interface MemoryLogger extends Logger {
  readonly entries: readonly LogEntry[];
  /** The messages of one level, or of all. */
  messages(level?: LogEntry["level"]): readonly string[];
}

export function createMemoryLogger(): MemoryLogger {
  const entries: LogEntry[] = [];
  return {
    ...childLogger(entries, {}),
    entries,
    messages: (level) =>
      entries.filter((entry) => (level ?? entry.level) === entry.level).map((entry) => entry.message),
  };
}

function childLogger(entries: LogEntry[], scope: LogFields): Logger {
  const write = (level: LogEntry["level"]) => (message: string, fields: LogFields = {}): void => {
    entries.push({ level, message, fields: { ...scope, ...fields } });
  };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    with: (fields) => childLogger(entries, { ...scope, ...fields }),
  };
}
