/** Converts kind descriptions to OpenAPI schemas. Versions 2 and 3 differ in references, defaults and types with choices. */
import { type FieldSchema, type FieldType, isPointer, type MessageSchema } from "../schema.ts";
import type { GroupVersion, GroupVersionKind, WireType } from "./route.ts";

/** A part of an OpenAPI document, as plain JSON. */
export type OpenApiObject = Readonly<Record<string, unknown>>;

/** The schema of a document that is described as text. */
export const TEXT_SCHEMA: OpenApiObject = { type: "string" };

/** The extension by which clients find the schema or operation of a kind. */
export const GVK_EXTENSION = "x-kubernetes-group-version-kind";

const TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
const FIELDS_V1 = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";
const RAW_EXTENSION = "io.k8s.apimachinery.pkg.runtime.RawExtension";
const QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity";

const INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";

const QUANTITY_DESCRIPTION = "An amount with an optional unit, such as 250m or 1Gi.";
const SIMPLE: Readonly<Record<string, OpenApiObject>> = {
  [TIME]: { description: "A time in RFC 3339, to the second.", type: "string", format: "date-time" },
  [MICRO_TIME]: { description: "A time in RFC 3339, to the microsecond.", type: "string", format: "date-time" },
  [FIELDS_V1]: { description: "A JSON object kept as it is.", type: "object" },
  [RAW_EXTENSION]: { description: "An object of any kind.", type: "object" },
};

/** Collects the schemas that operations refer to, each once. */
export class SchemaCollector {
  readonly #version: 2 | 3;
  readonly #groupVersions: readonly GroupVersion[];
  /** The types of whole objects, which lists contain too. */
  readonly #types: ReadonlyMap<string, WireType>;
  readonly #found = new Map<string, OpenApiObject>();

  /**
   * @param types every type that is the body or an answer of an operation
   * @param groupVersions the group versions in which messages such as DeleteOptions are registered
   */
  constructor(version: 2 | 3, types: readonly WireType[], groupVersions: readonly GroupVersion[]) {
    this.#version = version;
    this.#types = new Map(types.map((type) => [type.message.name, type]));
    this.#groupVersions = groupVersions;
  }

  /** Adds a type with everything it refers to, and returns a reference to it. */
  use({ message }: WireType): OpenApiObject {
    return this.#message(message);
  }

  /** Returns all schemas, sorted by name. */
  schemas(): OpenApiObject {
    return Object.fromEntries([...this.#found].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #identities(type: WireType | undefined): readonly GroupVersionKind[] {
    if (type?.commonKind === undefined) return type?.identities ?? [];
    const kind = type.commonKind;
    const others = this.#groupVersions.filter(({ group }) => group !== "");
    return [{ group: "", version: "v1" }, ...others].map((groupVersion) => ({ ...groupVersion, kind }));
  }

  #message(message: MessageSchema): OpenApiObject {
    if (!this.#found.has(message.name)) this.#add(message);
    return this.#reference(message.name);
  }

  #add(message: MessageSchema): void {
    const type = this.#types.get(message.name);
    const identities = this.#identities(type);
    const own = Object.entries(message.fields).map(([name, field]) => [name, this.#field(field)] as const);
    const properties = [...(type?.typed === true ? TYPE_META : []), ...own].sort(([a], [b]) => (a < b ? -1 : 1));
    const required = Object.entries(message.fields).filter(([, field]) => field.required).map(([name]) => name);
    this.#found.set(message.name, {
      ...toDescription(message.description),
      type: "object",
      ...(required.length > 0 ? { required } : {}),
      ...(properties.length > 0 ? { properties: Object.fromEntries(properties) } : {}),
      ...(identities.length === 0 ? {} : {
        [GVK_EXTENSION]: identities.map(({ group, kind, version }) => ({ group, kind, version })),
      }),
      ...(message.mapType === undefined ? {} : { "x-kubernetes-map-type": message.mapType }),
    });
  }

  #reference(name: string): OpenApiObject {
    return { $ref: `${this.#version === 3 ? "#/components/schemas/" : "#/definitions/"}${name}` };
  }

  #simple(name: string): OpenApiObject {
    const schema = name === QUANTITY ? this.#quantity() : name === INT_OR_STRING ? this.#intOrString() : SIMPLE[name];
    if (schema !== undefined) this.#found.set(name, schema);
    return this.#reference(name);
  }

  /** Describes a quantity. Clients may write a number, which version 2 cannot express. */
  #quantity(): OpenApiObject {
    return this.#version === 3
      ? { description: QUANTITY_DESCRIPTION, oneOf: [{ type: "string" }, { type: "number" }] }
      : { description: QUANTITY_DESCRIPTION, type: "string" };
  }

  /** Describes a number or a text, which version 2 cannot express. */
  #intOrString(): OpenApiObject {
    const description = "A whole number or a text.";
    return this.#version === 3
      ? { description, format: "int-or-string", oneOf: [{ type: "integer" }, { type: "string" }] }
      : { description, type: "string", format: "int-or-string" };
  }

  #field(field: FieldSchema): OpenApiObject {
    const type = this.#type(field.type, field.enum);
    // kube-apiserver omits every default in version 2, because old clients would apply them.
    const fallback = this.#version === 2 ? undefined : field.default ?? findDefault(field);
    const withDefault = fallback === undefined ? {} : { default: fallback };
    return {
      ...toDescription(field.description),
      // Version 3.0 ignores the siblings of a reference; some readers of version 2 do not know `allOf`.
      ...("$ref" in type && this.#version === 3
        ? { ...withDefault, allOf: [type] }
        : { ...pickTypeAndFormat(type), ...withDefault, ...omitTypeAndFormat(type) }),
      ...(field.listMapKeys === undefined ? {} : { "x-kubernetes-list-map-keys": field.listMapKeys }),
      ...(field.listType === undefined ? {} : { "x-kubernetes-list-type": field.listType }),
      ...(field.mapType === undefined ? {} : { "x-kubernetes-map-type": field.mapType }),
      ...(field.patchMergeKey === undefined ? {} : { "x-kubernetes-patch-merge-key": field.patchMergeKey }),
      ...(field.patchStrategy === undefined ? {} : { "x-kubernetes-patch-strategy": field.patchStrategy }),
    };
  }

  /**
   * @param values the allowed values of the innermost string
   */
  #type(type: FieldType, values?: readonly string[]): OpenApiObject {
    switch (type.kind) {
      case "string":
        return { type: "string", ...(values === undefined ? {} : { enum: values }) };
      case "bytes":
        return { type: "string", format: "byte" };
      case "int32":
      case "int64":
        return { type: "integer", format: type.kind };
      case "bool":
        return { type: "boolean" };
      case "time":
        return this.#simple(TIME);
      case "microTime":
        return this.#simple(MICRO_TIME);
      case "json":
        return this.#simple(type.anyKind === true ? RAW_EXTENSION : FIELDS_V1);
      case "quantity":
        return this.#simple(QUANTITY);
      case "intOrString":
        return this.#simple(INT_OR_STRING);
      case "list":
        return { type: "array", items: this.#type(type.of, values) };
      case "map":
        return { type: "object", additionalProperties: this.#type(type.of, values) };
      case "message":
        return this.#message(type);
    }
  }
}

const TYPE_META: readonly (readonly [string, OpenApiObject])[] = [
  ["apiVersion", { description: "Group and version of the object's form.", type: "string" }],
  ["kind", { description: "Name of the kind of object.", type: "string" }],
];

function toDescription(description: string | undefined): OpenApiObject {
  return description === undefined ? {} : { description };
}

/** Returns type and format of a schema, which Go writes before its default. */
function pickTypeAndFormat({ type, format }: OpenApiObject): OpenApiObject {
  return { ...(type === undefined ? {} : { type }), ...(format === undefined ? {} : { format }) };
}

function omitTypeAndFormat({ type: _type, format: _format, ...rest }: OpenApiObject): OpenApiObject {
  return rest;
}

/**
 * Finds the zero value of a field that is never absent in Go: one without `omitempty`, or a message that is not a
 * pointer.
 */
function findDefault(field: FieldSchema): unknown {
  const { type, presence } = field;
  if (type.kind === "message") return isPointer(field) ? undefined : {};
  if (presence !== "always") return undefined;
  switch (type.kind) {
    case "string":
      return "";
    case "int32":
    case "int64":
      return 0;
    case "bool":
      return false;
    default:
      return undefined;
  }
}
