/** The Logger port, with LogTape's formatters: text for people or JSON lines for programs, always on stderr. */
import {
  compareLogLevel,
  getJsonLinesFormatter,
  getTextFormatter,
  type LogRecord,
  type TextFormatter,
} from "@logtape/logtape";
import { formatTime } from "../core/kube/meta.ts";
import { Secret } from "../core/lib/brand.ts";
import { cutLoggedText, escapeControls } from "../core/lib/printable.ts";
import type { Clock, LogFields, Logger } from "../core/ports.ts";
import { nameFlags } from "./framework/flags.ts";
import type { OutputStream, Tools } from "./io.ts";

/** The severity of a message. A logger writes messages of its level and above. */
export type LogLevel = "debug" | "info" | "warn" | "error";
/** The format of log lines: text for people, or JSON for programs. */
export type LogFormat = "text" | "json";

/** Where and how a logger writes. */
export interface LoggerOptions {
  readonly stderr: OutputStream;
  /** Default: text on a terminal, JSON elsewhere. */
  readonly format?: LogFormat | undefined;
  /** The lowest level that is written; default `info`. */
  readonly level?: LogLevel;
  readonly clock: Pick<Clock, "now">;
}

const CATEGORY = ["tlsboot"];
const LOGTAPE_LEVEL = { debug: "debug", info: "info", warn: "warning", error: "error" } as const;

/** Creates a logger. It redacts secrets, tokens and private keys in every field. */
export function createLogger(options: LoggerOptions): Logger {
  const format = options.format ?? (options.stderr.isTerminal ? "text" : "json");
  const formatter = format === "json" ? createJsonFormatter() : createTextFormatter();
  const least = LOGTAPE_LEVEL[options.level ?? "info"];
  const write = (level: LogLevel, message: string, fields: LogFields): void => {
    if (compareLogLevel(LOGTAPE_LEVEL[level], least) < 0) return;
    const record: LogRecord = {
      category: CATEGORY,
      level: LOGTAPE_LEVEL[level],
      message: [message],
      rawMessage: message,
      timestamp: options.clock.now().getTime(),
      properties: withoutReserved(redactFields(fields)),
    };
    // Terminal control characters are escaped as in JSON, so that a field cannot forge a line in either format.
    options.stderr.write(`${escapeControls(nameFlags(formatter(record)).replace(/\n$/, ""))}\n`);
  };
  return scoped(write, {});
}

/** The fields that every JSON line has. */
const RESERVED = ["@timestamp", "level", "message", "logger"] as const;

/** Appends `_` to the names of fields that would replace a reserved field. */
function withoutReserved(fields: Record<string, unknown>): Record<string, unknown> {
  if (!RESERVED.some((name) => Object.hasOwn(fields, name))) return fields;
  const isReserved = (name: string) => RESERVED.some((known) => known === name);
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [isReserved(name) ? `${name}_` : name, value]),
  );
}

/** The values of `--logging-format` and `-v`. */
interface LogSettings {
  readonly loggingFormat: LogFormat | undefined;
  readonly v: number;
}

/** The value of `-v` from which users of klog expect each step in the log. */
const DEBUG_VERBOSITY = 4;

export function createRoleLogger(
  { loggingFormat: format, v }: LogSettings,
  { stderr, clock, isDebug }: Pick<Tools, "stderr" | "clock" | "isDebug">,
): Logger {
  return createLogger({
    stderr,
    clock,
    level: isDebug || v >= DEBUG_VERBOSITY ? "debug" : "info",
    format,
  });
}

function scoped(write: (level: LogLevel, message: string, fields: LogFields) => void, scope: LogFields): Logger {
  const at = (level: LogLevel) => (message: string, fields: LogFields = {}): void =>
    write(level, message, { ...scope, ...fields });
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    with: (fields) => scoped(write, { ...scope, ...fields }),
  };
}

/** Formats JSON lines such as `{"@timestamp":"2026-11-25T10:00:00Z","level":"INFO","message":"CSR approved","csr":"n1"}`. */
function createJsonFormatter(): TextFormatter {
  const format = getJsonLinesFormatter({ message: "template", properties: "flatten" });
  // The library writes milliseconds, but no other time of this program has them.
  return (record) => format(record).replace(/^(\{"@timestamp":"[\d:T-]+)\.\d{3}Z"/, '$1Z"');
}

/** Formats lines for people, such as `2026-11-25T10:00:00Z INFO  CSR approved csr=n1 signerName=…`. */
function createTextFormatter(): TextFormatter {
  return getTextFormatter({
    timestamp: (ms) => formatTime(new Date(ms)),
    level: (level) => (level === "warning" ? "WARN" : level.toUpperCase()).padEnd(5),
    format: ({ timestamp, level, message, record }) => {
      const fields = Object.entries(record.properties).map(([key, value]) => ` ${key}=${fieldText(value)}`);
      return `${timestamp} ${level} ${message}${fields.join("")}`;
    },
  });
}

function fieldText(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "undefined";
  return typeof value === "string" && !/^[^\s"=\p{Cc}]+$/u.test(text) ? JSON.stringify(text) : text;
}

const REDACTED = "[redacted]";
/** The depth below which nested objects are not logged. */
const MAX_DEPTH = 6;
/** The largest number of items of a list that are logged. */
const MAX_ITEMS = 20;

const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g;
/** An authorization header, but not the message "invalid bearer token". */
const BEARER = /\b(Bearer|Basic)\s+(?!token(?:[\s"',]|$))[^\s"',]+/gi;
/** A word that may be a JSON Web Token, such as that of a service account. */
const DOTTED = /[\w.-]+/g;
/** A bootstrap token. Its id may be logged, its secret may not. */
const BOOTSTRAP_TOKEN = /\b([a-z0-9]{6})\.[a-z0-9]{16}\b/g;

/**
 * Returns the fields as plain JSON values without secrets. Errors become their messages. This is the last line of defence
 * and does not rely on callers. Long texts are cut, because a client must not determine the length of a line.
 */
function redactFields(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, redact(value, 0)]));
}

/** Removes private keys, authorization headers, JSON Web Tokens and the secrets of bootstrap tokens from a text. */
function redactText(text: string): string {
  const shown = text.replace(PRIVATE_KEY, REDACTED).replace(BEARER, `$1 ${REDACTED}`);
  // The text is split into words only if one of them may be a token.
  const withoutJwts = shown.includes(JWT_START)
    ? shown.replace(DOTTED, (word) => isJwt(word) ? REDACTED : word)
    : shown;
  return withoutJwts.replace(BOOTSTRAP_TOKEN, `$1.${REDACTED}`);
}

/** The start of a JSON object in base64. */
const JWT_START = "eyJ";

/** Reports whether a word begins with the header and the claims of a JSON Web Token: JSON objects in base64. */
function isJwt(word: string): boolean {
  const [header = "", claims = "", signature] = word.split(".", 3);
  return header.startsWith(JWT_START) && claims.startsWith(JWT_START) && signature !== undefined;
}

function redact(value: unknown, depth: number): unknown {
  // Redact before cutting, because half of a secret would not be recognized.
  if (typeof value === "string") return cutLoggedText(redactText(value));
  if (value instanceof Secret) return REDACTED;
  if (value instanceof Error) return cutLoggedText(redactText(value.message));
  if (value instanceof Date) return formatTime(value);
  if (typeof value === "bigint" || typeof value === "symbol" || typeof value === "function") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= MAX_DEPTH) return "[nested]";
  if (value instanceof Uint8Array) return `[${value.length} bytes]`;
  if (Array.isArray(value)) {
    const shown = value.slice(0, MAX_ITEMS).map((item: unknown) => redact(item, depth + 1));
    return value.length > MAX_ITEMS ? [...shown, `[${value.length - MAX_ITEMS} more]`] : shown;
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redact(item, depth + 1)]));
}
