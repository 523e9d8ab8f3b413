/**
 * The form of an object after it has been in the store of a Kubernetes API server: protobuf does not distinguish an
 * empty list from none, so lists that Go always writes are read back as `null`.
 */
import type { FieldType, MessageSchema } from "../schema.ts";

/** A cache of whether storing can change a message; most cannot change. */
const changing = new WeakMap<MessageSchema, boolean>();

/** Returns an object as it is read back from the store, or the same object if nothing changes. */
export function storedForm<T extends object>(schema: MessageSchema, object: T): T {
  return canChange(schema) ? formOfMessage(schema, object as Record<string, unknown>) as T : object;
}

function formOfMessage(schema: MessageSchema, object: Record<string, unknown>): Record<string, unknown> {
  let changed: Record<string, unknown> | undefined;
  for (const [name, { type, presence }] of Object.entries(schema.fields)) {
    const value = object[name];
    if (typeof value !== "object" || value === null) continue;
    const isEmptied = presence === "always" && isContainer(type) && Object.keys(value).length === 0;
    const form = isEmptied ? null : formOfValue(type, value);
    if (form !== value) (changed ??= { ...object })[name] = form;
  }
  return changed ?? object;
}

function formOfValue(type: FieldType, value: object): unknown {
  switch (type.kind) {
    case "message":
      return storedForm(type.message(), value);
    case "list": {
      const { of } = type;
      if (!canChangeType(of) || !Array.isArray(value)) return value;
      const items = value.map((item: unknown) =>
        typeof item === "object" && item !== null ? formOfValue(of, item) : item
      );
      return items.every((item, index) => item === value[index]) ? value : items;
    }
    default:
      return value;
  }
}

function canChange(schema: MessageSchema): boolean {
  const known = changing.get(schema);
  if (known !== undefined) return known;
  // Ends the recursion for a message that contains itself.
  changing.set(schema, false);
  const found = Object.values(schema.fields).some(({ type, presence }) =>
    (presence === "always" && isContainer(type)) || canChangeType(type)
  );
  changing.set(schema, found);
  return found;
}

function canChangeType(type: FieldType): boolean {
  if (type.kind === "message") return canChange(type.message());
  return type.kind === "list" && canChangeType(type.of);
}

function isContainer({ kind }: FieldType): boolean {
  return kind === "list" || kind === "map";
}
