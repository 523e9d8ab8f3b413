/** Changes objects in a few places, guided by their schemas so that most changes are meaningful. */
import type { Random } from "../../../core/ports.ts";
import type { FieldSchema, FieldType, MessageSchema } from "../../../core/kube/schema.ts";
import { below, oneIn, pick } from "../../support/seeded_random.ts";
import { anyText, isRawJson, Members, structuredCopy, valueFor, wrongValue } from "./values.ts";

type Container = Record<string, unknown>;

/** A member that an object has or could have, with its field in the schema. */
export interface Slot {
  readonly path: readonly string[];
  readonly container: Container;
  readonly key: string;
  readonly isPresent: boolean;
  readonly field: Pick<FieldSchema, "type" | "enum" | "patchMergeKey" | "listMapKeys"> | undefined;
}

/** Finds every member of an object and of the objects in it, and every field that they could have. */
export function findSlots(object: Container, schema: MessageSchema | undefined): readonly Slot[] {
  const slots: Slot[] = [];
  const walkMessage = (container: Container, message: MessageSchema | undefined, path: readonly string[]): void => {
    const fields = message?.fields ?? {};
    for (const key of new Set([...Object.keys(container), ...Object.keys(fields)])) {
      add(container, key, Object.hasOwn(fields, key) ? fields[key] : undefined, [...path, key]);
    }
  };
  const add = (container: Container, key: string, field: Slot["field"], path: readonly string[]): void => {
    const isPresent = Object.hasOwn(container, key);
    slots.push({ path, container, key, isPresent, field });
    if (isPresent) walk(container[key], field?.type, path);
  };
  const walk = (value: unknown, type: FieldType | undefined, path: readonly string[]): void => {
    if (typeof value !== "object" || value === null || isRawJson(value)) return;
    if (Array.isArray(value) || type?.kind === "map") {
      const item = type?.kind === "list" || type?.kind === "map" ? { type: type.of } : undefined;
      for (const key of Object.keys(value)) add(value as Container, key, item, [...path, key]);
    } else {
      walkMessage(value as Container, type?.kind === "message" ? type : undefined, path);
    }
  };
  walkMessage(object, schema, []);
  return slots;
}

const UNKNOWN_KEYS = ["unknown", "", "a", "Metadata", "NAME", "0", "f:a", "ü", "__proto__", "apiVersion", "$patch"];

/** Returns a copy with this many changes. */
export function mutate(object: object, schema: MessageSchema, changes: number, random: Random): Container {
  const copy = structuredCopy(object) as Container;
  for (let left = changes; left > 0; left--) changeOnce(copy, schema, random);
  return copy;
}

function changeOnce(object: Container, schema: MessageSchema, random: Random): void {
  const slots = findSlots(object, schema);
  const present = slots.filter(({ isPresent }) => isPresent);
  // Metadata has more fields than most specs; half of the changes go elsewhere.
  const elsewhere = slots.filter(({ path: [first] }) => first !== "metadata");
  const slot = pick(random, oneIn(random, 2) && elsewhere.length > 0 ? elsewhere : slots);
  const set = (value: unknown) => setMember(slot.container, slot.key, value);
  // An object without members can only gain one.
  switch (present.length === 0 ? 9 : below(random, 10)) {
    case 0: {
      const { container, key } = pick(random, present);
      if (Array.isArray(container)) container.splice(Number(key), 1);
      else delete container[key];
      return;
    }
    case 1:
      return set(wrongValue(random));
    case 2:
      return set(null);
    case 3: {
      const { container } = pick(random, present);
      if (Array.isArray(container)) container.push(wrongValue(random));
      else setMember(container, pick(random, UNKNOWN_KEYS), wrongValue(random));
      return;
    }
    case 4:
      return doubleMember(pick(random, present), random);
    case 5: {
      const list = pick(random, present);
      const value = list.container[list.key];
      if (Array.isArray(value) && value.length > 0) value.push(structuredCopy(pick(random, value)));
      else if (typeof value === "string") setMember(list.container, list.key, anyText(random));
      return;
    }
    case 6: {
      const text = pick(random, present);
      if (typeof text.container[text.key] === "string") setMember(text.container, text.key, anyText(random));
      return;
    }
    default:
      set(slot.field === undefined ? wrongValue(random) : valueFor(slot.field, random));
  }
}

/** Repeats a member, sometimes with another value. */
function doubleMember({ container, key }: Slot, random: Random): void {
  if (Array.isArray(container)) return void container.push(container[Number(key)]);
  const value = container[key];
  // The caller keeps the object itself, so only one of the objects in it can become `Members`.
  if (typeof value !== "object" || value === null || Array.isArray(value) || isRawJson(value)) return;
  const members = Object.entries(value);
  if (members.length === 0) return;
  const [name, first] = pick(random, members);
  setMember(container, key, new Members([...members, [name, oneIn(random, 2) ? first : wrongValue(random)]]));
}

/** Sets a member of any name, even `__proto__`. */
function setMember(container: Container, key: string, value: unknown): void {
  Object.defineProperty(container, key, { value, enumerable: true, configurable: true, writable: true });
}
