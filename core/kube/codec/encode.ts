/** From canonical objects to JSON: `kind` and `apiVersion` first, as every answer has them. */
import { apiVersionOf, type Kind } from "../schema.ts";

/** Identity of what is written: a kind, or the two names themselves (for lists, Status and the like). */
export type TypeMeta = Kind | { readonly apiVersion: string; readonly kind: string };

/** Puts `kind` and `apiVersion` before the fields; the object itself is not changed. */
export function encodeObject(type: TypeMeta, object: object): Record<string, unknown> {
  const { kind } = type;
  const apiVersion = "apiVersion" in type ? type.apiVersion : apiVersionOf(type);
  return Object.assign({ kind, apiVersion }, object, { kind, apiVersion });
}

/** One-line JSON in UTF-8, escaped as Go escapes it (`<`, `>`, `&`), so that bodies equal kube-apiserver's. */
export function jsonBytes(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(jsonText(value));
}

/** The same as text, indented when asked for. */
export function jsonText(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent) ?? "null";
  return UNSAFE.test(text) ? text.replace(new RegExp(UNSAFE, "g"), escape) : text;
}

/** What Go's encoder escapes beyond the need of JSON; outside of strings none of it can occur. */
const UNSAFE = /[<>&\u2028\u2029]/;

function escape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
