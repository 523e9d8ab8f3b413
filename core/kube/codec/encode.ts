/** From canonical objects to JSON: `kind` and `apiVersion` first, as every answer has them. */
import { formatApiVersion, type Kind } from "../schema.ts";
import { compareBytes } from "../../lib/byte_order.ts";
import { isNumberLike } from "./json_document.ts";

/** Identity of what is written: a kind, or the two names themselves (for lists, Status and the like). */
export type TypeMeta = Kind | { readonly apiVersion: string; readonly kind: string };

/** Puts `kind` and `apiVersion` before the fields; the object itself is not changed. */
export function encodeObject(type: TypeMeta, object: object): Record<string, unknown> {
  const { kind } = type;
  const apiVersion = "apiVersion" in type ? type.apiVersion : formatApiVersion(type);
  return Object.assign({ kind, apiVersion }, object, { kind, apiVersion });
}

/** One-line JSON in UTF-8, escaped as Go escapes it (`<`, `>`, `&`), so that bodies equal kube-apiserver's. */
export function jsonBytes(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(jsonText(value));
}

/** The same as text, indented when asked for. */
export function jsonText(value: unknown, indent?: number): string {
  const plain = JSON.stringify(value, undefined, indent) ?? "null";
  const text = NUMBER_LIKE_NAME.test(plain) ? orderedText(value, " ".repeat(indent ?? 0), "") : plain;
  const safe = UNSAFE.test(text) ? text.replace(new RegExp(UNSAFE, "g"), escape) : text;
  return safe.includes("\\ud") ? safe.replace(LONE_SURROGATE, toReplacement) : safe;
}

/** How `JSON.stringify` writes half a character; a backslash that is itself escaped is passed over. */
const LONE_SURROGATE = /\\\\|\\ud[89a-f][0-9a-f]{2}/g;

/** Go writes this for whatever is no UTF-8. */
function toReplacement(found: string): string {
  return found === "\\\\" ? found : "\\ufffd";
}

/** What Go's encoder escapes beyond the need of JSON; outside of strings none of it can occur. */
const UNSAFE = /[<>&\u2028\u2029]/;

function escape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** The start of a member whose name JavaScript moves before all others; inside of a text no quotation mark is bare. */
const NUMBER_LIKE_NAME = /[{,]\s*"(?:0|[1-9][0-9]{0,9})":/;

/** Writes a value whose maps have names like numbers: those come in Go's order, by their bytes. */
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
