/** Generates valid and invalid values for fields, and writes JSON that `JSON.stringify` cannot write. */
import type { Random } from "../../../core/ports.ts";
import type { FieldSchema, FieldType, MessageSchema } from "../../../core/kube/schema.ts";
import { below, oneIn, pick } from "../../support/seeded_random.ts";

/** A JSON text that is written verbatim: numbers beyond doubles, and invalid JSON. */
class Verbatim {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** An object whose members are written in this order, including repeated keys. */
export class Members {
  readonly members: readonly (readonly [string, unknown])[];
  constructor(members: readonly (readonly [string, unknown])[]) {
    this.members = members;
  }
}

/** Reports whether only {@link writeJson} can write a value. */
export function isRawJson(value: unknown): boolean {
  return value instanceof Verbatim || value instanceof Members;
}

/** Reports whether a value is or contains a `Verbatim` or `Members`. */
export function needsText(value: unknown): boolean {
  if (isRawJson(value)) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(needsText);
}

/** Writes JSON, including `Verbatim` and `Members`. */
export function writeJson(value: unknown): string {
  if (value instanceof Verbatim) return value.text;
  if (Array.isArray(value)) return `[${value.map(writeJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const members = value instanceof Members ? value.members : Object.entries(value);
  return `{${members.map(([key, item]) => `${JSON.stringify(key)}:${writeJson(item)}`).join(",")}}`;
}

const TEXTS: readonly string[] = [
  ...["a", "b", "", "A", "a b", "a/b", "a.b", "-a", "a-", "1", "true", "null", "example.com/a", "kubernetes.io/a"],
  ...["ü", "日本", "a\nb", "a\tb", 'a"b', "a\\b", "<&>", "\u2028", "\u0000", "\u0007", "😀", "\ufffd"],
  ...["10.0.0.1", "10.1.0.0/24", "::1", "fd00::/64", "https://a.example", "system:nodes", "*", "%", "%s", "a=b"],
  ...["a".repeat(63), "a".repeat(64), "a".repeat(253), "a".repeat(254), "a".repeat(1025)],
];
const NUMBERS: readonly unknown[] = [0, 1, -1, 2, 10, 100, 600, 3600, 65535, 65536, 2147483647, -2147483648];
const ODD_NUMBERS: readonly unknown[] = [
  ...[2147483648, -2147483649, 4294967296, 1.5, -0.5, 1e21, "1", "a"],
  ...["9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"]
    .map((text) => new Verbatim(text)),
  ...["18446744073709551615", "1e3", "1.0", "1e400", "-0", "1E+2"].map((text) => new Verbatim(text)),
];
const TIMES: readonly unknown[] = [
  ...["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.123456Z", "2020-02-29T23:59:59+02:00"],
  ...["2026-01-01T00:00:00.123456789Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", null],
];
const ODD_TIMES: readonly unknown[] = [
  ...["", "2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z", "2026-01-01t00:00:00z", "now", 1, true],
  ...["2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "10000-01-01T00:00:00Z", "2026-01-01T00:00:00,5Z"],
];
const BYTES: readonly unknown[] = ["", "AA==", "YQ==", "Y2VydA==", null];
const ODD_BYTES: readonly unknown[] = ["A", "YQ", "YQ=", "Y Q=\n=", "_-8=", "!", "YR==", 1];
const QUANTITIES: readonly unknown[] = ["1", "100m", "1Gi", "0", "1.5", 1, 2.5, "1e3", "1E"];
const ODD_QUANTITIES: readonly unknown[] = [
  ...["-1", "", "a", "1Ki1", "1 Gi", "9223372036854775808", "0.1n", "1e-10", ".5", "1.", "+1", true, null],
];
const FIELD_SETS: readonly unknown[] = [{}, { "f:metadata": {} }, { "f:data": { ".": {}, "f:a": {} } }, null];
const ODD_FIELD_SETS: readonly unknown[] = [{ a: {} }, [], "x", { "f:a": 1 }, { "k:{}": {} }, { "v:1": {} }];

/** Values that are wrong for most fields. */
const WRONG: readonly unknown[] = [
  ...[null, true, false, 0, 1, -1, 1.5, "", "a", "1", [], {}, [null], [[]], [{}], { a: null }, { a: "b" }, ["a"]],
  ...["9223372036854775807", "9223372036854775808", "1e400", "1e3"].map((text) => new Verbatim(text)),
];

/** Picks a value that is wrong for most fields. */
export function wrongValue(random: Random): unknown {
  return structuredCopy(pick(random, WRONG));
}

/** Picks a text that is valid in some fields and invalid in others. */
export function anyText(random: Random): string {
  return pick(random, TEXTS);
}

/** Generates a value of a field's type, usually one that decodes; `depth` bounds its nesting. */
export function valueFor(field: Pick<FieldSchema, "type" | "enum">, random: Random, depth = 3): unknown {
  if (field.enum !== undefined && !oneIn(random, 4)) {
    const value = pick(random, field.enum);
    return field.type.kind === "list" ? [value, ...(oneIn(random, 3) ? [pick(random, field.enum)] : [])] : value;
  }
  return valueOfType(field.type, random, depth);
}

function valueOfType(type: FieldType, random: Random, depth: number): unknown {
  const odd = (valid: readonly unknown[], invalid: readonly unknown[]) =>
    pick(random, oneIn(random, 3) ? invalid : valid);
  switch (type.kind) {
    case "string":
      return anyText(random);
    case "bytes":
      return odd(BYTES, ODD_BYTES);
    case "int32":
    case "int64":
      return odd(NUMBERS, ODD_NUMBERS);
    case "bool":
      return odd([true, false], ["true", 1, null, "False"]);
    case "time":
    case "microTime":
      return odd(TIMES, ODD_TIMES);
    case "quantity":
      return odd(QUANTITIES, ODD_QUANTITIES);
    case "intOrString":
      return odd([...NUMBERS, "https", ""], [...ODD_NUMBERS, true, null]);
    case "json":
      return structuredCopy(odd(FIELD_SETS, ODD_FIELD_SETS));
    case "message":
      return messageValue(type, random, depth);
    case "list":
      return Array.from({ length: below(random, 4) }, () => valueOfType(type.of, random, depth - 1));
    case "map":
      return Object.fromEntries(
        Array.from({ length: below(random, 4) }, () => [anyText(random), valueOfType(type.of, random, depth - 1)]),
      );
  }
}

/** Generates some or all fields of a message. */
function messageValue(schema: MessageSchema, random: Random, depth: number): unknown {
  const isFull = oneIn(random, 3);
  const fields = depth <= 0
    ? []
    : Object.entries(schema.fields).filter(([, field]) => isFull || field.required === true || oneIn(random, 3));
  return Object.fromEntries(fields.map(([name, field]) => [name, valueFor(field, random, depth - 1)]));
}

/** Copies a value deeply, except `Verbatim` and `Members`, which never change. */
export function structuredCopy<T>(value: T): T {
  if (typeof value !== "object" || value === null || isRawJson(value)) return value;
  if (Array.isArray(value)) return value.map(structuredCopy) as T;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, structuredCopy(item)])) as T;
}
