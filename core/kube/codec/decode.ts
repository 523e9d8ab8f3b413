/**
 * From parsed JSON to canonical objects, with the faults Go's decoder finds, in its words
 * (sigs.k8s.io/json `decode.go`): names match by case, `null` means absent, unknown and repeated fields are collected.
 */
import { Buffer } from "node:buffer";
import type { FieldType, MessageSchema } from "../schema.ts";
import {
  buildMessage,
  elementGoType,
  type FieldPlan,
  type MessagePlan,
  planOf,
  structNameOf,
  zeroMessage,
} from "./_plan.ts";
import { sortedKeys } from "./_order.ts";
import { canonicalBase64, encodeBase64 } from "./base64.ts";
import { DecodeError } from "./errors.ts";
import { goQuote } from "./go_quote.ts";
import { type JsonDocument, setOwn } from "./json_parser.ts";
import { canonicalQuantity } from "./quantity.ts";
import { canonicalMicroTime, canonicalTime } from "./time.ts";

export { DecodeError } from "./errors.ts";

/** What is known of the document beside its value; a `JsonDocument` fits. */
export interface DecodeOptions extends Partial<Omit<JsonDocument, "value">> {
  /** The Go type of the whole, for the error about a document that is no object; `v1.<Kind>` by default. */
  readonly goType?: string;
}

/** A canonical object, and what strict field validation has to say about its source. */
export interface DecodedObject {
  readonly object: Record<string, unknown>;
  /** Such as `unknown field "spec.foo"` and `duplicate field "spec.bar"`; at most 100 (upstream's limit). */
  readonly strictErrors: readonly string[];
}

const MAX_STRICT_ERRORS = 100;
/** Free-form JSON (`fieldsV1`) deeper than this could not be printed again by `JSON.stringify` on every runtime. */
const MAX_FREE_DEPTH = 1_000;
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

/**
 * Decodes one object. `kind` and `apiVersion` are passed over: the caller has checked them. Throws `DecodeError` with
 * the first fault in the order of the document.
 */
export function decodeObject(schema: MessageSchema, value: unknown, options: DecodeOptions = {}): DecodedObject {
  const decoder = new Decoder(options);
  const object = decoder.decodeRoot(schema, value, options.goType ?? `v1.${structNameOf(schema)}`);
  return { object, strictErrors: decoder.strictErrors() };
}

/** Brings an object that code has put together into canonical form: order, omission and filling as decoding does it. */
export function canonicalObject(schema: MessageSchema, object: object): Record<string, unknown> {
  return decodeObject(schema, object).object;
}

class Decoder {
  readonly #duplicates: ReadonlySet<string> | undefined;
  readonly #numbers: ReadonlyMap<string, string> | undefined;
  readonly #strict: Set<string>;
  /** Go reports the first type error only, after it has read on to the end. */
  #firstFault: DecodeError | undefined;
  #struct = "";
  #fields: string[] = [];
  /** Path with indices, for strict errors. */
  #path: string[] = [];

  constructor(options: DecodeOptions) {
    this.#duplicates = options.duplicates !== undefined && options.duplicates.length > 0
      ? new Set(options.duplicates)
      : undefined;
    this.#numbers = options.numbers;
    this.#strict = new Set(options.strictErrors);
  }

  decodeRoot(schema: MessageSchema, value: unknown, goType: string): Record<string, unknown> {
    const object = this.#message(planOf(schema), value, goType, true);
    if (this.#firstFault !== undefined) throw this.#firstFault;
    return object;
  }

  strictErrors(): readonly string[] {
    return [...this.#strict].slice(0, MAX_STRICT_ERRORS);
  }

  #message(plan: MessagePlan, value: unknown, goType: string, isRoot = false): Record<string, unknown> {
    if (value === null || value === undefined) return zeroMessage(plan);
    if (!isObject(value)) {
      this.#saveFault(value, goType);
      return zeroMessage(plan);
    }
    const slots: unknown[] = new Array(plan.fields.length);
    const outerStruct = this.#struct;
    for (const key in value) {
      if (!Object.hasOwn(value, key)) continue;
      const field = plan.byName.get(key);
      if (field !== undefined) {
        slots[field.index] = this.#field(plan, field, value[key]);
        this.#struct = outerStruct;
      } else if ((key === "kind" || key === "apiVersion") && (isRoot || plan.hasTypeMeta)) this.#checkDuplicate(key);
      else this.#addStrict("unknown", key);
    }
    return buildMessage(plan, slots);
  }

  #field(plan: MessagePlan, field: FieldPlan, value: unknown): unknown {
    this.#struct = plan.structName;
    this.#checkDuplicate(field.name);
    this.#fields.push(field.name);
    this.#path.push(this.#path.length === 0 ? field.name : `.${field.name}`);
    const decoded = this.#value(field.type, field.goType, value);
    this.#fields.pop();
    this.#path.pop();
    return decoded;
  }

  /** The canonical value; undefined for absent, null or faulty ones. */
  #value(type: FieldType, goType: string, value: unknown): unknown {
    if (value === null || value === undefined) return undefined;
    switch (type.kind) {
      case "string":
        return typeof value === "string" ? value : this.#saveFault(value, goType);
      case "bool":
        return typeof value === "boolean" ? value : this.#saveFault(value, goType);
      case "int32":
      case "int64":
        return this.#integer(type.kind, goType, value);
      case "bytes":
        return this.#bytes(goType, value);
      case "time":
        return canonicalTime(this.#text(value));
      case "microTime":
        return canonicalMicroTime(this.#text(value));
      case "quantity":
        return canonicalQuantity(typeof value === "string" ? value : JSON.stringify(value));
      case "json":
        if (isDeeper(value, MAX_FREE_DEPTH)) throw new DecodeError("exceeded max depth");
        return value;
      case "message":
        return this.#message(planOf(type.message()), value, goType);
      case "list":
        return this.#list(type.of, goType, value);
      case "map":
        return this.#map(type.of, goType, value);
    }
  }

  #integer(kind: "int32" | "int64", goType: string, value: unknown): number | undefined {
    if (typeof value !== "number") return this.#saveFault(value, goType);
    const literal = this.#numbers?.get(this.#path.join("")) ?? String(value);
    const whole = /^-?[0-9]+$/.test(literal) ? BigInt(literal) : undefined;
    const [min, max] = kind === "int32" ? [-(2n ** 31n), 2n ** 31n - 1n] : [MIN_INT64, MAX_INT64];
    if (whole === undefined || whole < min || whole > max) return this.#saveTypeError(`number ${literal}`, goType);
    return value === 0 ? 0 : value;
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
    const bytes = value.map((item: unknown) =>
      typeof item === "number" && Number.isInteger(item) && item >= 0 && item < 256
        ? item
        : this.#saveTypeError(typeof item === "number" ? `number ${item}` : kindOf(item), "uint8") ?? 0
    );
    return encodeBase64(Buffer.from(bytes));
  }

  /** Times decode themselves, so that their faults end the decoding at once. */
  #text(value: unknown): string {
    if (typeof value === "string") return value;
    throw this.#typeError(kindOf(value), "string");
  }

  #list(of: FieldType, goType: string, value: unknown): unknown[] | undefined {
    if (!Array.isArray(value)) return this.#saveFault(value, goType);
    const elementType = elementGoType(goType, of);
    return value.map((item: unknown, index) => {
      this.#path.push(`[${index}]`);
      const decoded = this.#value(of, elementType, item) ?? elementZero(of);
      this.#path.pop();
      return decoded;
    });
  }

  #map(of: FieldType, goType: string, value: unknown): Record<string, unknown> | undefined {
    if (!isObject(value)) return this.#saveFault(value, goType);
    const elementType = elementGoType(goType, of);
    const decoded: Record<string, unknown> = {};
    for (const key of sortedKeys(value)) {
      this.#checkDuplicate(key);
      this.#path.push(this.#path.length === 0 ? key : `.${key}`);
      setOwn(decoded, key, this.#value(of, elementType, value[key]) ?? elementZero(of));
      this.#path.pop();
    }
    return decoded;
  }

  #checkDuplicate(key: string): void {
    if (this.#duplicates === undefined) return;
    const path = this.#childPath(key);
    if (this.#duplicates.has(path)) this.#strict.add(`duplicate field ${goQuote(path)}`);
  }

  #addStrict(what: "unknown", key: string): void {
    if (this.#strict.size < MAX_STRICT_ERRORS) this.#strict.add(`${what} field ${goQuote(this.#childPath(key))}`);
  }

  #childPath(key: string): string {
    return this.#path.length === 0 ? key : `${this.#path.join("")}.${key}`;
  }

  #saveFault(value: unknown, goType: string): undefined {
    return this.#saveTypeError(kindOf(value), goType);
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

/** What Go calls a JSON value in its errors. */
function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "boolean") return "bool";
  return typeof value;
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
      return zeroMessage(planOf(type.message()));
    default:
      return null;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isDeeper(value: unknown, limit: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; depth <= limit; depth++) {
    level = level.flatMap((item) => (typeof item === "object" && item !== null ? Object.values(item) : []));
    if (level.length === 0) return false;
  }
  return true;
}
