/** The plan that the codecs derive from a schema once: fields by name and number, Go's names, zero values. */
import type { FieldSchema, FieldType, MessageSchema } from "../schema.ts";

/** A field with the properties that the codecs need. */
export interface FieldPlan {
  readonly name: string;
  /** The index in the order of Go's JSON. */
  readonly index: number;
  readonly schema: FieldSchema;
  readonly type: FieldType;
  /** The Go type as error messages print it. */
  readonly goType: string;
}

/** A message with the properties that the codecs need. */
export interface MessagePlan {
  readonly schema: MessageSchema;
  /** The Go name of the struct, such as `ObjectMeta`. */
  readonly structName: string;
  /** The fields in the order of Go's JSON. */
  readonly fields: readonly FieldPlan[];
  /** The fields in the order of their protobuf numbers, as gogo writes them. */
  readonly byNumberOrder: readonly FieldPlan[];
  readonly maps: readonly FieldPlan[];
  readonly byName: ReadonlyMap<string, FieldPlan>;
  readonly byNumber: ReadonlyMap<number, FieldPlan>;
  /** True for kinds, which may have `kind` and `apiVersion` in addition to their fields. */
  readonly hasTypeMeta: boolean;
}

const plans = new WeakMap<MessageSchema, MessagePlan>();

/** Returns the plan of a schema, which is created at first use. */
export function getMessagePlan(schema: MessageSchema): MessagePlan {
  const known = plans.get(schema);
  if (known !== undefined) return known;
  const fields = Object.entries(schema.fields).map(([name, field], index) => ({
    name,
    index,
    schema: field,
    type: field.type,
    goType: field.goType ?? getGoFieldType(field.type),
  }));
  const plan = {
    schema,
    structName: getStructName(schema),
    fields,
    byNumberOrder: fields.toSorted((a, b) => a.schema.number - b.schema.number),
    maps: fields.filter(({ type }) => type.kind === "map"),
    byName: new Map(fields.map((field) => [field.name, field])),
    byNumber: new Map(fields.map((field) => [field.schema.number, field])),
    hasTypeMeta: schema.fields["metadata"]?.number === 1,
  };
  plans.set(schema, plan);
  return plan;
}

/** Returns the name of the Go struct, which is the last part of the OpenAPI name. */
export function getStructName(schema: MessageSchema): string {
  return schema.name.slice(schema.name.lastIndexOf(".") + 1);
}

/** Returns the Go type of a field whose type has no name, as error messages print it. */
function getGoFieldType(type: FieldType): string {
  switch (type.kind) {
    case "bytes":
      return "[]uint8";
    case "time":
      return "v1.Time";
    case "microTime":
      return "v1.MicroTime";
    case "json":
      return "v1.FieldsV1";
    case "quantity":
      return "resource.Quantity";
    case "intOrString":
      return "intstr.IntOrString";
    case "message":
      return `v1.${getStructName(type)}`;
    case "list":
      return `[]${getGoFieldType(type.of)}`;
    case "map":
      return `map[string]${getGoFieldType(type.of)}`;
    default:
      return type.kind;
  }
}

/** Returns the Go type of the elements of a list or map from its own Go type. */
export function elementGoType(goType: string, of: FieldType): string {
  if (goType.startsWith("[]")) return goType.slice(2);
  if (goType.startsWith("map[string]")) return goType.slice("map[string]".length);
  return getGoFieldType(of);
}

/** Creates a message with nothing set, in canonical form. */
export function createZeroMessage(plan: MessagePlan): Record<string, unknown> {
  return buildMessage(plan, []);
}

/** Creates a message from decoded values, with the fields that Go always writes and without those that Go omits. */
export function buildMessage(plan: MessagePlan, slots: readonly unknown[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const field of plan.fields) {
    const value = slots[field.index];
    switch (field.schema.presence) {
      case "always":
        object[field.name] = value === undefined ? createZeroValue(field.type) : value;
        break;
      case "omitempty":
        if (!isEmpty(value)) object[field.name] = value;
        break;
      case "optional":
        if (value !== undefined && value !== null) object[field.name] = value;
        break;
      case "nullable":
        object[field.name] = value ?? null;
    }
  }
  return object;
}

/** Creates the zero value of a type in canonical JSON; `null` for lists, maps, bytes and times. */
export function createZeroValue(type: FieldType): unknown {
  switch (type.kind) {
    case "string":
      return "";
    case "int32":
    case "int64":
    case "intOrString":
      return 0;
    case "bool":
      return false;
    case "quantity":
      return "0";
    case "message":
      return createZeroMessage(getMessagePlan(type));
    default:
      return null;
  }
}

/** Reports whether Go omits a value of a field that has `omitempty`. */
export function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value !== "object") return false;
  for (const _key in value) return false;
  return true;
}
