/**
 * Canonical objects as JSON. Parsed JSON is decoded with the errors of Go's decoder (sigs.k8s.io/json `decode.go`): names
 * are case-sensitive, `null` means absent, and unknown and repeated fields are collected. An object is encoded with `kind`
 * and `apiVersion` first, as in every answer.
 */
import { isRecord, type JsonMember } from "../../lib/record.ts";
import { Buffer } from "node:buffer";
import { clampToInt64, compareBytes, convertToInt64, escapeGoJson, goQuote, toInt64 } from "../../lib/go_text.ts";
import {
  DecodeError,
  ExactNumber,
  goJsonType,
  inGoOrder,
  isNumberLike,
  isTooDeep,
  type JsonDocument,
  listMembers,
  setOwn,
} from "../json_value.ts";
import { type FieldType, formatApiVersion, isPointer, type Kind, type MessageSchema } from "../schema.ts";
import {
  buildMessage,
  createZeroMessage,
  createZeroValue,
  elementGoType,
  type FieldPlan,
  getMessagePlan,
  getStructName,
  type MessagePlan,
} from "./message_plan.ts";
import { encodeBase64 } from "../../lib/encodings.ts";
import { canonicalBase64, canonicalMicroTime, canonicalQuantity, canonicalTime } from "./scalars.ts";

/** Details of a document other than its value; a `JsonDocument` has them. */
interface DecodeOptions extends Partial<Omit<JsonDocument, "value">> {
  /** The Go type of the document, for the error if it is no object; `v1.<Kind>` by default. */
  readonly goType?: string;
  /** True for values from Go's maps: numbers are converted to the type of their field (apimachinery `converter.go`). */
  readonly isUnstructured?: boolean;
}

/** A canonical object, and the errors that strict field validation finds in its source. */
export interface DecodedObject<T extends object = object> {
  readonly object: T & Record<string, unknown>;
  /** Errors such as `unknown field "spec.foo"` and `duplicate field "spec.bar"`; at most 100, as upstream. */
  readonly strictErrors: readonly string[];
}

const MAX_STRICT_ERRORS = 100;

/**
 * Decodes one object. `kind` and `apiVersion` are skipped, because the caller has checked them. Throws `DecodeError`
 * with the first fault in the order of the document.
 */
export function decodeObject<T extends object>(
  schema: MessageSchema<T>,
  value: unknown,
  options: DecodeOptions = {},
): DecodedObject<T> {
  const decoder = new Decoder(options);
  const object = decoder.decodeRoot(schema, value, options.goType ?? `v1.${getStructName(schema)}`);
  // The object has the fields of its schema, and this is the schema's type.
  return { object: object as T & Record<string, unknown>, strictErrors: decoder.strictErrors() };
}

class Decoder {
  readonly #document: Pick<JsonDocument, "members">;
  readonly #strict: Set<string>;
  readonly #isUnstructured: boolean;
  /** The first type error, the only one that Go reports, after it has decoded the rest. */
  #firstFault: DecodeError | undefined;
  #struct = "";
  #fields: string[] = [];
  /** The path with indices, for strict errors. */
  #path: string[] = [];

  constructor(options: DecodeOptions) {
    this.#document = options;
    this.#strict = new Set(options.strictErrors);
    this.#isUnstructured = options.isUnstructured ?? false;
  }

  decodeRoot(schema: MessageSchema, value: unknown, goType: string): Record<string, unknown> {
    const object = this.#message(getMessagePlan(schema), value, goType, undefined, true);
    if (this.#firstFault !== undefined) throw this.#firstFault;
    return object;
  }

  strictErrors(): readonly string[] {
    return [...this.#strict].slice(0, MAX_STRICT_ERRORS);
  }

  /** @param before the value of an earlier member of the same name, into which Go decodes */
  #message(
    plan: MessagePlan,
    value: unknown,
    goType: string,
    before?: unknown,
    isRoot = false,
  ): Record<string, unknown> {
    if (value === null || value === undefined) return isRecord(before) ? before : createZeroMessage(plan);
    if (!isRecord(value)) {
      this.#saveFault(value, goType);
      return isRecord(before) ? before : createZeroMessage(plan);
    }
    const slots: unknown[] = new Array(plan.fields.length);
    if (isRecord(before)) { for (const field of plan.fields) slots[field.index] = before[field.name]; }
    const outerStruct = this.#struct;
    const members = this.#document.members?.get(value);
    if (members === undefined) {
      for (const key in value) {
        const member = { key, value: value[key] };
        if (Object.hasOwn(value, key) && member.value !== undefined) this.#member(plan, slots, member, isRoot);
      }
    } else {
      const seen = new Set<string>();
      for (const member of members) {
        // Go reports a repeated name before it decodes the value after it.
        if (isMember(plan, member.key, isRoot)) this.#checkDuplicate(seen, member.key);
        this.#member(plan, slots, member, isRoot);
      }
    }
    this.#struct = outerStruct;
    return buildMessage(plan, slots);
  }

  /** Decodes one member of a message into the slot of its field. */
  #member(plan: MessagePlan, slots: unknown[], member: JsonMember, isRoot: boolean): void {
    const { key } = member;
    const field = plan.byName.get(key);
    if (field !== undefined) slots[field.index] = this.#field(plan, field, member, slots[field.index]);
    else if (!isMember(plan, key, isRoot)) this.#addStrict("unknown", key);
  }

  #field(plan: MessagePlan, field: FieldPlan, member: JsonMember, before: unknown): unknown {
    this.#struct = plan.structName;
    this.#fields.push(field.name);
    this.#path.push(this.#path.length === 0 ? field.name : `.${field.name}`);
    const decoded = this.#value(field.type, field.goType, member, before, isPointer(field.schema));
    this.#fields.pop();
    this.#path.pop();
    return decoded;
  }

  /** Decodes a value; undefined if absent. `null` clears values that may be nil in Go and keeps the others. */
  #value(type: FieldType, goType: string, member: JsonMember, before: unknown, mayBeAbsent: boolean): unknown {
    const { key, value } = member;
    if (value === null || value === undefined) return mayBeAbsent || isNullable(type) ? undefined : before;
    if (value instanceof ExactNumber) {
      return this.#value(type, goType, { key, value: value.value, literal: value.literal }, before, mayBeAbsent);
    }
    switch (type.kind) {
      case "string":
        return typeof value === "string" ? value : this.#saveFault(value, goType) ?? before;
      case "bool":
        return typeof value === "boolean" ? value : this.#saveFault(value, goType) ?? before;
      case "int32":
      case "int64":
        return this.#integer(type.kind, goType, member) ?? before;
      case "bytes":
        return this.#bytes(goType, value) ?? before;
      case "time":
        return canonicalTime(this.#text(value));
      case "microTime":
        return canonicalMicroTime(this.#text(value));
      case "quantity":
        return canonicalQuantity(typeof value === "string" ? value : member.literal ?? JSON.stringify(value));
      case "intOrString":
        // `UnmarshalJSON` of `intstr.IntOrString`: a value that is not a text must be a number.
        return typeof value === "string" ? value : this.#integer("int32", "int32", member) ?? before;
      case "json":
        // Free-form JSON (`fieldsV1`) that is deeper could not be printed again by `JSON.stringify` on every runtime.
        if (isTooDeep(value)) throw new DecodeError("exceeded max depth");
        return value;
      case "message":
        return this.#message(getMessagePlan(type), value, goType, before);
      case "list":
        return this.#list(type.of, goType, value, before) ?? before;
      case "map":
        return this.#map(type.of, goType, value, before) ?? before;
    }
  }

  #integer(kind: "int32" | "int64", goType: string, member: JsonMember): number | undefined {
    const { value } = member;
    if (typeof value !== "number") return this.#saveFault(value, goType);
    const literal = member.literal ?? String(value);
    if (this.#isUnstructured) {
      const converted = convertToInt64(literal);
      return clampToInt64(Number(kind === "int32" ? BigInt.asIntN(32, converted) : converted));
    }
    const whole = toInt64(literal);
    const isTooLarge = kind === "int32" && (value < -(2 ** 31) || value >= 2 ** 31);
    if (whole === undefined || isTooLarge) return this.#saveTypeError(`number ${literal}`, goType);
    return value === 0 ? 0 : clampToInt64(value);
  }

  #bytes(goType: string, value: unknown): string | undefined {
    if (typeof value === "string") {
      try {
        return canonicalBase64(value);
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error;
        this.#firstFault ??= error;
        return undefined;
      }
    }
    if (!Array.isArray(value)) return this.#saveFault(value, goType);
    // Go also decodes an array of numbers into bytes.
    const bytes = this.#elements(value).map((item) => {
      const literal = item.literal ?? String(item.value);
      if (typeof item.value !== "number") {
        return item.value === null ? 0 : this.#saveFault(item.value, "uint8") ?? 0;
      }
      const isByte = /^[0-9]+$/.test(literal) && item.value < 256;
      return isByte ? item.value : this.#saveTypeError(`number ${literal}`, "uint8") ?? 0;
    });
    return encodeBase64(Buffer.from(bytes));
  }

  /** Decodes the text of a time. Times have their own decoder in Go, so that their faults stop the decoding. */
  #text(value: unknown): string {
    if (typeof value === "string") return value;
    throw this.#typeError(goJsonType(value), "string");
  }

  #list(of: FieldType, goType: string, value: unknown, before: unknown): unknown[] | undefined {
    if (!Array.isArray(value)) return this.#saveFault(value, goType);
    const elementType = elementGoType(goType, of);
    // Go decodes into the elements of an earlier list of the same name.
    const old: readonly unknown[] = Array.isArray(before) ? before : [];
    return this.#elements(value).map((item, index) => {
      this.#path.push(`[${index}]`);
      const decoded = this.#value(of, elementType, item, old[index], false) ?? elementZero(of);
      this.#path.pop();
      return decoded;
    });
  }

  #elements(list: readonly unknown[]): readonly JsonMember[] {
    return this.#document.members?.get(list) ?? list.map((value) => ({ key: "", value }));
  }

  #map(of: FieldType, goType: string, value: unknown, before: unknown): Record<string, unknown> | undefined {
    if (!isRecord(value)) return this.#saveFault(value, goType);
    const elementType = elementGoType(goType, of);
    const decoded: Record<string, unknown> = isRecord(before) ? { ...before } : {};
    const seen = new Set<string>();
    for (const member of listMembers(this.#document, value)) {
      const { key } = member;
      this.#checkDuplicate(seen, key);
      this.#path.push(this.#path.length === 0 ? key : `.${key}`);
      // Only here does a null list stay null, because `extra` is printed again but not read.
      const zero = of.kind === "list" ? null : elementZero(of);
      setOwn(decoded, key, this.#value(of, elementType, member, undefined, false) ?? zero);
      this.#path.pop();
    }
    return inGoOrder(decoded);
  }

  #checkDuplicate(seen: Set<string>, key: string): void {
    if (seen.has(key)) this.#addStrict("duplicate", key);
    else seen.add(key);
  }

  #addStrict(what: "unknown" | "duplicate", key: string): void {
    if (this.#strict.size < MAX_STRICT_ERRORS) this.#strict.add(`${what} field ${goQuote(this.#childPath(key))}`);
  }

  #childPath(key: string): string {
    return this.#path.length === 0 ? key : `${this.#path.join("")}.${key}`;
  }

  #saveFault(value: unknown, goType: string): undefined {
    return this.#saveTypeError(goJsonType(value), goType);
  }

  #saveTypeError(found: string, goType: string): undefined {
    this.#firstFault ??= this.#typeError(found, goType);
    return undefined;
  }

  #typeError(found: string, goType: string): DecodeError {
    const place = this.#fields.length === 0 ? "Go value" : `Go struct field ${this.#struct}.${this.#fields.join(".")}`;
    return new DecodeError(`json: cannot unmarshal ${found} into ${place} of type ${goType}`);
  }
}

/** Returns the value of a `null` in a list or map. Lists become empty, so that readers need not check for null. */
function elementZero(type: FieldType): unknown {
  switch (type.kind) {
    case "bytes":
      return "";
    case "list":
      return [];
    case "map":
      return {};
    default:
      return createZeroValue(type);
  }
}

/** Reports whether `null` makes a type nil or zero: lists, maps, bytes and times. */
function isNullable(type: FieldType): boolean {
  return type.kind !== "string" && type.kind !== "bool" && type.kind !== "int32" && type.kind !== "int64" &&
    type.kind !== "message";
}

/** Reports whether a name is that of a field, or `kind` or `apiVersion` of an object. */
function isMember(plan: MessagePlan, key: string, isRoot: boolean): boolean {
  return plan.byName.has(key) || ((key === "kind" || key === "apiVersion") && (isRoot || plan.hasTypeMeta));
}

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
