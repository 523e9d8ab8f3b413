/** Encodes canonical objects as JSON, with `kind` and `apiVersion` first, as in every answer. */
import { formatApiVersion, type Kind } from "../schema.ts";
import { compareBytes } from "../../lib/byte_order.ts";
import { escapeGoJson } from "../../lib/quote.ts";
import { isNumberLike } from "../json_value.ts";

/** The type of an object to encode: a kind, or `kind` and `apiVersion` themselves (for lists, Status and others). */
export type TypeMeta = Kind | { readonly apiVersion: string; readonly kind: string };

/** Copies an object with `kind` and `apiVersion` before its fields. */
export function encodeObject(type: TypeMeta, object: object): Record<string, unknown> {
  const { kind } = type;
  const apiVersion = "apiVersion" in type ? type.apiVersion : formatApiVersion(type);
  return Object.assign({ kind, apiVersion }, object, { kind, apiVersion });
}

/** Encodes a value as JSON on one line in UTF-8, escaped as Go does (`<`, `>`, `&`), as in kube-apiserver's bodies. */
export function jsonBytes(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(jsonText(value));
}

/** Formats a value as JSON text as `jsonBytes` does, optionally indented. */
export function jsonText(value: unknown, indent?: number): string {
  const plain = JSON.stringify(value, undefined, indent) ?? "null";
  const text = NUMBER_LIKE_NAME.test(plain) ? orderedText(value, " ".repeat(indent ?? 0), "") : plain;
  const safe = escapeGoJson(text);
  if (!safe.includes("\\ud")) return safe;
  // Go writes U+FFFD for text that is not valid UTF-8.
  return safe.replace(LONE_SURROGATE, (found) => found === "\\\\" ? found : "\\ufffd");
}

/** Matches a lone surrogate as `JSON.stringify` writes it, and an escaped backslash, in order to skip that. */
const LONE_SURROGATE = /\\\\|\\ud[89a-f][0-9a-f]{2}/g;

/** Matches the start of a member whose name JavaScript moves before all others. Strings cannot contain it unescaped. */
const NUMBER_LIKE_NAME = /[{,]\s*"(?:0|[1-9][0-9]{0,9})":/;

/** Formats a value whose maps have names like numbers in Go's order, by their bytes. */
function orderedText(value: unknown, step: string, pad: string): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const inner = pad + step;
  const parts = Array.isArray(value)
    ? value.map((item) => orderedText(item, step, inner))
    : orderedEntries(value).map(([key, item]) =>
      `${JSON.stringify(key)}:${step === "" ? "" : " "}${orderedText(item, step, inner)}`
    );
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  if (parts.length === 0) return open + close;
  if (step === "") return `${open}${parts.join(",")}${close}`;
  return `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${pad}${close}`;
}

function orderedEntries(object: object): readonly (readonly [string, unknown])[] {
  const entries = Object.entries(object).filter(([, item]) => item !== undefined);
  if (entries.some(([key]) => isNumberLike(key))) entries.sort(([a], [b]) => compareBytes(a, b));
  return entries;
}
