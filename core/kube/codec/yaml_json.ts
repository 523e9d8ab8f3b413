/** Converts YAML values to the values of their JSON (sigs.k8s.io/yaml `YAMLToJSON`). */
import { compareBytes } from "../../lib/byte_order.ts";
import { finishWalk, type Walk } from "./walk.ts";
import {
  findJsonKey,
  goFloat,
  GoMap,
  type GoNumber,
  goTypeName,
  type GoValue,
  isGoNumber,
  printGoSyntax,
} from "./yaml_go_value.ts";
import { DecodeError, JsonSyntaxError } from "./errors.ts";
import { isNumberLike, type JsonMember, MAX_JSON_DEPTH, setOwn } from "./json_document.ts";

/** Converts the value of one document. */
export class JsonWriter {
  /** The members of the objects and arrays that plain values do not keep as written. */
  readonly members = new Map<object, readonly JsonMember[]>();
  #depth = 0;
  /** The first number that JSON cannot express, which is reported after faults of keys and before those of depth. */
  #unsupported: GoNumber | undefined;
  #tooDeep: "[" | "{" | undefined;

  /** Converts a value. Throws JsonSyntaxError for keys and numbers that JSON cannot express, DecodeError for depth. */
  write(value: GoValue): unknown {
    const written = finishWalk<unknown>(this.#value(value));
    if (this.#unsupported !== undefined) {
      throw new JsonSyntaxError(`json: unsupported value: ${goFloat(this.#unsupported.value, 64)}`);
    }
    if (this.#tooDeep !== undefined) {
      const why = `invalid character '${this.#tooDeep}' exceeded max depth`;
      throw new DecodeError(`couldn't get version/kind; json parse error: ${why}`);
    }
    return written;
  }

  *#value(value: GoValue): Walk<unknown> {
    if (typeof value !== "object" || value === null) return value;
    if (isGoNumber(value)) return this.#number(value);
    this.#depth++;
    if (this.#depth > MAX_JSON_DEPTH) this.#tooDeep ??= value instanceof GoMap ? "{" : "[";
    const written = value instanceof GoMap ? yield this.#map(value) : yield this.#list(value);
    this.#depth--;
    return written;
  }

  #number(value: GoNumber): number {
    if (!Number.isFinite(value.value)) this.#unsupported ??= value;
    return value.value;
  }

  *#list(items: readonly GoValue[]): Walk<unknown> {
    const list: unknown[] = [];
    let isPlain = true;
    for (const item of items) {
      list.push(isContainer(item) ? yield this.#value(item) : this.#scalar(item));
      isPlain &&= findLiteral(item) === undefined;
    }
    if (!isPlain) {
      this.members.set(list, items.map((item, index) => toMember(String(index), list[index], item)));
    }
    return list;
  }

  *#map(map: GoMap): Walk<unknown> {
    const entries: { readonly key: string; readonly value: GoValue }[] = [];
    for (const { key, value } of map.entries()) {
      const name = findJsonKey(key);
      if (name === undefined) {
        const shown = `key: ${printGoSyntax(key)}, value: ${printGoSyntax(value)}`;
        throw new JsonSyntaxError(`unsupported map key of type: ${goTypeName(key)}, ${shown}`);
      }
      entries.push({ key: name, value });
    }
    entries.sort((a, b) => compareBytes(a.key, b.key));
    const object: Record<string, unknown> = {};
    let isPlain = true;
    for (const { key, value } of entries) {
      setOwn(object, key, isContainer(value) ? yield this.#value(value) : this.#scalar(value));
      isPlain &&= findLiteral(value) === undefined && !isNumberLike(key);
    }
    if (!isPlain) this.members.set(object, entries.map(({ key, value }) => toMember(key, object[key], value)));
    return object;
  }

  #scalar(value: GoValue): unknown {
    return typeof value === "object" && value !== null && isGoNumber(value) ? this.#number(value) : value;
  }
}

function isContainer(value: GoValue): boolean {
  return typeof value === "object" && value !== null && !isGoNumber(value);
}

/** Finds the JSON text of a number that JavaScript prints differently. */
function findLiteral(value: GoValue): string | undefined {
  if (typeof value !== "object" || value === null || !isGoNumber(value)) return undefined;
  return String(value.value) === value.literal ? undefined : value.literal;
}

function toMember(key: string, value: unknown, source: GoValue): JsonMember {
  const literal = findLiteral(source);
  return { key, value, ...(literal === undefined ? {} : { literal }) };
}
