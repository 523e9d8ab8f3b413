/**
 * From parsed JSON to canonical objects, with the faults Go's decoder finds, in its words
 * (sigs.k8s.io/json `decode.go`): names match by case, `null` means absent, unknown and repeated fields are collected.
 */
import { isRecord } from "../../lib/record.ts";
import { Buffer } from "node:buffer";
import { convertToInt64, toInt64, withinInt64 } from "../int64.ts";
import { ExactNumber, isTooDeep } from "../json_value.ts";
import type { FieldType, MessageSchema } from "../schema.ts";
import {
  buildMessage,
  createZeroMessage,
  elementGoType,
  type FieldPlan,
  getMessagePlan,
  getStructName,
  type MessagePlan,
} from "./message_plan.ts";
import { compareBytes } from "../../lib/byte_order.ts";
import { encodeBase64 } from "../../lib/base64.ts";
import { canonicalBase64 } from "./base64.ts";
import { DecodeError, goJsonType } from "./errors.ts";
import { goQuote } from "../quote.ts";
import { type JsonDocument, type JsonMember, listMembers, setOwn } from "./json_document.ts";
import { canonicalQuantity } from "./quantity.ts";
import { canonicalMicroTime, canonicalTime } from "./time.ts";
export { DecodeError } from "./errors.ts";

/** What is known of the document beside its value; a `JsonDocument` fits. */
export interface DecodeOptions extends Partial<Omit<JsonDocument, "value">> {
  /** The Go type of the whole, for the error about a document that is no object; `v1.<Kind>` by default. */
  readonly goType?: string;
  /** The value comes out of Go's maps: numbers are converted to the type of their field (apimachinery `converter.go`). */
  readonly isUnstructured?: boolean;
}

/** A canonical object, and what strict field validation has to say about its source. */
export interface DecodedObject<T extends object = object> {
  readonly object: T & Record<string, unknown>;
  /** Such as `unknown field "spec.foo"` and `duplicate field "spec.bar"`; at most 100 (upstream's limit). */
  readonly strictErrors: readonly string[];
}

const MAX_STRICT_ERRORS = 100;

/**
 * Decodes one object. `kind` and `apiVersion` are passed over: the caller has checked them. Throws `DecodeError` with
 * the first fault in the order of the document.
 */
export function decodeObject<T extends object>(
  schema: MessageSchema<T>,
  value: unknown,
  options: DecodeOptions = {},
): DecodedObject<T> {
  const decoder = new Decoder(options);
  const object = decoder.decodeRoot(schema, value, options.goType ?? `v1.${getStructName(schema)}`);
  // It has the fields of its schema, whose type this is.
  return { object: object as T & Record<string, unknown>, strictErrors: decoder.strictErrors() };
}

/** Brings an object that code has put together into canonical form: order, omission and filling as decoding does it. */
export function canonicalObject(schema: MessageSchema, object: object): Record<string, unknown> {
  return decodeObject(schema, object).object;
}

class Decoder {
  readonly #document: Pick<JsonDocument, "members">;
  readonly #strict: Set<string>;
  readonly #isUnstructured: boolean;
  /** Go reports the first type error only, after it has read on to the end. */
  #firstFault: DecodeError | undefined;
  #struct = "";
  #fields: string[] = [];
  /** Path with indices, for strict errors. */
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

  /** @param before what the same field said earlier in the document: Go decodes into it */
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
        if (Object.hasOwn(value, key)) this.#member(plan, slots, { key, value: value[key] }, isRoot);
      }
    } else {
      const seen = new Set<string>();
      for (const member of members) {
        // Go reports a repeated name before it reads the value behind it.
        if (isMember(plan, member.key, isRoot)) this.#checkDuplicate(seen, member.key);
        this.#member(plan, slots, member, isRoot);
      }
    }
    this.#struct = outerStruct;
    return buildMessage(plan, slots);
  }

  /** Decodes one member of a message into its slot, if there is such a field. */
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
    const decoded = this.#value(field.type, field.goType, member, before, field.schema.presence === "optional");
    this.#fields.pop();
    this.#path.pop();
    return decoded;
  }

  /** The canonical value; undefined for absent ones. A `null` empties what may be nil and leaves the rest as it was. */
  #value(type: FieldType, goType: string, member: JsonMember, before: unknown, isPointer: boolean): unknown {
    const { key, value } = member;
    if (value === null || value === undefined) return isPointer || isNullable(type) ? undefined : before;
    if (value instanceof ExactNumber) {
      return this.#value(type, goType, { key, value: value.value, literal: value.literal }, before, isPointer);
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
      case "json":
        // Free-form JSON (`fieldsV1`) that is deeper could not be printed again by `JSON.stringify` on every runtime.
        if (isTooDeep(value)) throw new DecodeError("exceeded max depth");
        return value;
      case "message":
        return this.#message(getMessagePlan(type.message()), value, goType, before);
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
      return withinInt64(Number(kind === "int32" ? BigInt.asIntN(32, converted) : converted));
    }
    const whole = toInt64(literal);
    const isTooLarge = kind === "int32" && (value < -(2 ** 31) || value >= 2 ** 31);
    if (whole === undefined || isTooLarge) return this.#saveTypeError(`number ${literal}`, goType);
    return value === 0 ? 0 : withinInt64(value);
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
    // Go takes bytes as an array of numbers as well.
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

  /** Times decode themselves, so that their faults end the decoding at once. */
  #text(value: unknown): string {
    if (typeof value === "string") return value;
    throw this.#typeError(goJsonType(value), "string");
  }

  #list(of: FieldType, goType: string, value: unknown, before: unknown): unknown[] | undefined {
    if (!Array.isArray(value)) return this.#saveFault(value, goType);
    const elementType = elementGoType(goType, of);
    // Go decodes into the elements that a repeated list had before.
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
      // A list that is null stays null here, as nowhere else: nobody reads on in `extra`, and it is printed again.
      const zero = of.kind === "list" ? null : elementZero(of);
      setOwn(decoded, key, this.#value(of, elementType, member, undefined, false) ?? zero);
      this.#path.pop();
    }
    return inOrder(decoded);
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

/** What stands in a list or map for `null`. Lists are empty rather than null, so that readers need not ask. */
function elementZero(type: FieldType): unknown {
  switch (type.kind) {
    case "string":
    case "bytes":
      return "";
    case "int32":
    case "int64":
      return 0;
    case "bool":
      return false;
    case "quantity":
      return "0";
    case "list":
      return [];
    case "map":
      return {};
    case "message":
      return createZeroMessage(getMessagePlan(type.message()));
    default:
      return null;
  }
}

/** Lists, maps, bytes and times: `null` makes them nil or zero. */
function isNullable(type: FieldType): boolean {
  return type.kind !== "string" && type.kind !== "bool" && type.kind !== "int32" && type.kind !== "int64" &&
    type.kind !== "message";
}

/** A map with its keys in Go's order. */
function inOrder(map: Record<string, unknown>): Record<string, unknown> {
  const keys = Object.keys(map);
  if (keys.every((key, index) => index === 0 || compareBytes(keys[index - 1] ?? "", key) < 0)) return map;
  const ordered: Record<string, unknown> = {};
  for (const key of keys.sort(compareBytes)) setOwn(ordered, key, map[key]);
  return ordered;
}

/** Tells whether a name stands for a field, or for the type of the whole. */
function isMember(plan: MessagePlan, key: string, isRoot: boolean): boolean {
  return plan.byName.has(key) || ((key === "kind" || key === "apiVersion") && (isRoot || plan.hasTypeMeta));
}
