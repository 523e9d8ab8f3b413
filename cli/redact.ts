/** The last line of defence of the log: what must never be in it is taken out, whoever put it there. */
import { Secret } from "../core/lib/brand.ts";
import { cutLoggedText } from "../core/lib/logged_text.ts";
import type { LogFields } from "../core/ports.ts";

const REDACTED = "[redacted]";
/** Objects nested deeper than this are not for logs. */
const MAX_DEPTH = 6;
/** A list shows so many of its items. */
const MAX_ITEMS = 20;

const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g;
const BEARER = /\b(Bearer|Basic)\s+[^\s"',]+/gi;
/** A bootstrap token; its id may be shown. */
const BOOTSTRAP_TOKEN = /\b([a-z0-9]{6})\.[a-z0-9]{16}\b/g;

/**
 * The fields as plain JSON values without secrets; errors become their message. A long text, such as a path or what an
 * error quotes, is cut: a client must not decide how long a line is.
 */
export function redactFields(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, redact(value, 0)]));
}

/** A text without private keys, authorization headers and the secrets of bootstrap tokens. */
export function redactText(text: string): string {
  return text
    .replace(PRIVATE_KEY, REDACTED)
    .replace(BEARER, `$1 ${REDACTED}`)
    .replace(BOOTSTRAP_TOKEN, `$1.${REDACTED}`);
}

function redact(value: unknown, depth: number): unknown {
  // A secret that is cut in two would not be recognized.
  if (typeof value === "string") return cutLoggedText(redactText(value));
  if (value instanceof Secret) return REDACTED;
  if (value instanceof Error) return cutLoggedText(redactText(value.message));
  if (value instanceof Date) return value.toISOString();
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
