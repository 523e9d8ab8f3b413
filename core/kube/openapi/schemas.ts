/** Kind descriptions as OpenAPI schemas: the same content for v3 and v2, apart from where references point. */
import { listSchemaOf } from "../kinds/mod.ts";
import type { FieldSchema, FieldType, Kind, MessageSchema } from "../schema.ts";

/** A schema or a part of one, as plain JSON. */
export type OpenApiObject = Readonly<Record<string, unknown>>;

/** Group, version and kind as OpenAPI extensions carry them. */
export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** The extension by which clients find the schema or operation of a kind. */
export const GVK_EXTENSION = "x-kubernetes-group-version-kind";

const TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
const FREE_FORM = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";
const QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity";
/** The body of a patch: any object. */
export const PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

const NAMED: Readonly<Record<string, OpenApiObject>> = {
  [TIME]: { description: "A time in RFC 3339, to the second.", type: "string", format: "date-time" },
  [MICRO_TIME]: { description: "A time in RFC 3339, to the microsecond.", type: "string", format: "date-time" },
  [FREE_FORM]: { description: "A JSON object kept as it is.", type: "object" },
  [PATCH]: { description: "A patch in the form its content type names.", type: "object" },
};

/** Collects the schemas that kinds need, each once. */
export class SchemaCollector {
  readonly #version: 2 | 3;
  readonly #found = new Map<string, OpenApiObject>();

  constructor(version: 2 | 3) {
    this.#version = version;
  }

  /** Adds a kind and, where it has one, its list; everything they refer to follows. */
  addKind(kind: Kind): void {
    this.addMessage(kind.schema, [identityOf(kind, kind.kind)]);
    if (kind.listKind !== "") this.addMessage(listSchemaOf(kind), [identityOf(kind, kind.listKind)]);
  }

  /** Adds a message; with identities it is a whole object, with `kind` and `apiVersion`. */
  addMessage(message: MessageSchema, identities: readonly GroupVersionKind[] = []): void {
    if (this.#found.has(message.name)) return;
    // Reserves the name, so that messages which contain themselves end.
    this.#found.set(message.name, {});
    const own = Object.entries(message.fields).map(([name, field]) => [name, this.#field(field)] as const);
    const properties = [...(identities.length > 0 ? TYPE_META : []), ...own].sort(([a], [b]) => (a < b ? -1 : 1));
    const required = Object.entries(message.fields).filter(([, field]) => field.required).map(([name]) => name);
    this.#found.set(message.name, {
      description: message.description,
      type: "object",
      properties: Object.fromEntries(properties),
      ...(required.length > 0 ? { required } : {}),
      ...(identities.length > 0 ? { [GVK_EXTENSION]: identities } : {}),
      ...(message.mapType === undefined ? {} : { "x-kubernetes-map-type": message.mapType }),
    });
  }

  /** A reference to a named schema, which is added when it is one of the simple ones. */
  reference(name: string): OpenApiObject {
    const named = NAMED[name] ?? (name === QUANTITY ? this.#quantity() : undefined);
    if (named !== undefined) this.#found.set(name, named);
    return { $ref: `${this.#version === 3 ? "#/components/schemas/" : "#/definitions/"}${name}` };
  }

  /** All schemas by name, in order of their names. */
  schemas(): OpenApiObject {
    return Object.fromEntries([...this.#found].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #quantity(): OpenApiObject {
    const description = "An amount with an optional unit, such as 250m or 1Gi.";
    return this.#version === 3
      ? { description, oneOf: [{ type: "string" }, { type: "number" }] }
      : { description, type: "string" };
  }

  #field(field: FieldSchema): OpenApiObject {
    const type = this.#type(field.type);
    const fallback = field.default ?? (field.presence === "always" ? defaultOf(field.type) : undefined);
    return {
      // Version 3.0 ignores what stands beside a reference; version 2 has readers that do not know `allOf`.
      ...("$ref" in type && this.#version === 3 ? { allOf: [type] } : type),
      description: field.description,
      ...(fallback === undefined ? {} : { default: fallback }),
      ...(field.listType === undefined ? {} : { "x-kubernetes-list-type": field.listType }),
      ...(field.listMapKeys === undefined ? {} : { "x-kubernetes-list-map-keys": field.listMapKeys }),
      ...(field.mapType === undefined ? {} : { "x-kubernetes-map-type": field.mapType }),
      ...(field.patchStrategy === undefined ? {} : { "x-kubernetes-patch-strategy": field.patchStrategy }),
      ...(field.patchMergeKey === undefined ? {} : { "x-kubernetes-patch-merge-key": field.patchMergeKey }),
    };
  }

  #type(type: FieldType): OpenApiObject {
    switch (type.kind) {
      case "string":
        return { type: "string" };
      case "bytes":
        return { type: "string", format: "byte" };
      case "int32":
      case "int64":
        return { type: "integer", format: type.kind };
      case "bool":
        return { type: "boolean" };
      case "time":
        return this.reference(TIME);
      case "microTime":
        return this.reference(MICRO_TIME);
      case "json":
        return this.reference(FREE_FORM);
      case "quantity":
        return this.reference(QUANTITY);
      case "list":
        return { type: "array", items: this.#type(type.of) };
      case "map":
        return { type: "object", additionalProperties: this.#type(type.of) };
      case "message": {
        const message = type.message();
        this.addMessage(message);
        return this.reference(message.name);
      }
    }
  }
}

/** Identity of a kind, or of its list. */
export function identityOf(kind: Kind, name: string): GroupVersionKind {
  return { group: kind.group, kind: name, version: kind.version };
}

const TYPE_META: readonly (readonly [string, OpenApiObject])[] = [
  ["apiVersion", { description: "Group and version of the object's form.", type: "string" }],
  ["kind", { description: "Name of the kind of object.", type: "string" }],
];

function defaultOf(type: FieldType): unknown {
  switch (type.kind) {
    case "string":
      return "";
    case "int32":
    case "int64":
      return 0;
    case "bool":
      return false;
    case "message":
      return {};
    default:
      return undefined;
  }
}
