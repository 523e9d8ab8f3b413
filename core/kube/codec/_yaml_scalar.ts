/**
 * What a plain YAML scalar means to the library behind Kubernetes (go-yaml v2 `resolve.go`): YAML 1.1 words, Go's
 * number forms. Timestamps stay text. Shared by reading and by printing, which must quote what would be misread.
 */

const WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ...words(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], true),
  ...words(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], false),
  ...words(["", "~", "null", "Null", "NULL"], null),
]);

const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
const INTEGER = /^([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))$/;
const SPECIAL_FLOAT = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const TIMESTAMP = /^\d{4}-\d{1,2}-\d{1,2}(?:[Tt ]\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)?$/;
const MAX_UINT64 = 2n ** 64n - 1n;

/** What a scalar was found to be; text that only looks like a time is a `timestamp`. */
export type Resolved =
  | { readonly kind: "string" | "timestamp" | "special" }
  | { readonly kind: "value"; readonly value: boolean | null }
  | { readonly kind: "number"; readonly value: number; readonly literal: string };

/** Resolves plain text. */
export function resolvePlain(text: string): Resolved {
  const word = WORDS.get(text);
  if (word !== undefined) return { kind: "value", value: word };
  if (!/^[-+.0-9]/.test(text)) return { kind: "string" };
  if (SPECIAL_FLOAT.test(text)) return { kind: "special" };
  if (TIMESTAMP.test(text)) return { kind: "timestamp" };
  const plain = text.replaceAll("_", "");
  const integer = parseInteger(plain);
  if (integer !== undefined) return { kind: "number", value: Number(integer), literal: String(integer) };
  // Go prints the float again when it turns YAML into JSON, so that 1.0 arrives as 1.
  if (!FLOAT.test(plain) || !Number.isFinite(Number(plain))) return { kind: "string" };
  return { kind: "number", value: Number(plain), literal: String(Number(plain)) };
}

function parseInteger(text: string): bigint | undefined {
  const match = INTEGER.exec(text);
  if (match === null) return undefined;
  const [, sign, hex, binary, octal, decimal] = match;
  const digits = hex !== undefined
    ? `0x${hex}`
    : binary !== undefined
    ? `0b${binary}`
    : octal !== undefined
    ? `0o${octal}`
    : decimal;
  const magnitude = BigInt(digits ?? "0");
  if (magnitude > (sign === "-" ? 2n ** 63n : MAX_UINT64)) return undefined;
  return sign === "-" ? -magnitude : magnitude;
}

function words<T>(texts: readonly string[], value: T): [string, T][] {
  return texts.map((text) => [text, value]);
}
