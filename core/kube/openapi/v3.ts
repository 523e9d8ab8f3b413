/**
 * OpenAPI v3 of one group and version: what kubectl needs to create, apply, replace, edit, diff and explain
 * (api-wire.md section 4.1).
 */
import { deleteOptionsSchema, listSchemaOf, statusSchema } from "../kinds/mod.ts";
import { type Kind, objectPath } from "../schema.ts";
import { GVK_EXTENSION, identityOf, type OpenApiObject, PATCH, SchemaCollector } from "./schemas.ts";
import {
  CREATE_PARAMETERS,
  DELETE_PARAMETERS,
  LIST_PARAMETERS,
  NAME_PARAMETER,
  NAMESPACE_PARAMETER,
  PATCH_PARAMETERS,
  PRETTY_PARAMETER,
} from "./parameters.ts";
import type { ServedKind } from "./served_kind.ts";

export type { ServedKind } from "./served_kind.ts";

const BODY_TYPES = ["application/json", "application/vnd.kubernetes.protobuf", "application/yaml"];
const PATCH_TYPES = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
];

/** The document of one group (empty for core) and version, from those of the kinds that belong to it. */
export function openapiV3Document(kinds: readonly ServedKind[], group: string, version: string): OpenApiObject {
  const collector = new SchemaCollector(3);
  const meta = { group, version };
  collector.addMessage(deleteOptionsSchema, [{ ...meta, kind: "DeleteOptions" }]);
  collector.addMessage(statusSchema, [{ group: "", version: "v1", kind: "Status" }]);
  const paths: Record<string, OpenApiObject> = {};
  for (const served of kinds) {
    if (served.kind.group !== group || served.kind.version !== version) continue;
    collector.addKind(served.kind);
    Object.assign(paths, new PathWriter(collector, served).paths());
  }
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: "unversioned" },
    paths,
    components: {
      schemas: collector.schemas(),
      securitySchemes: { BearerToken: { type: "apiKey", in: "header", name: "authorization" } },
    },
  };
}

class PathWriter {
  readonly #collector: SchemaCollector;
  readonly #served: ServedKind;
  readonly #kind: Kind;

  constructor(collector: SchemaCollector, served: ServedKind) {
    this.#collector = collector;
    this.#served = served;
    this.#kind = served.kind;
  }

  paths(): Record<string, OpenApiObject> {
    const kind = this.#kind;
    const { verbs, subresources } = this.#served;
    const item = decodeURIComponent(objectPath(kind, "{name}", kind.namespaced ? "{namespace}" : ""));
    const collection = item.slice(0, -"/{name}".length);
    const paths: Record<string, OpenApiObject> = {};
    const scope = kind.namespaced ? [NAMESPACE_PARAMETER] : [];
    this.#add(paths, collection, this.#collectionOperations(verbs), [...scope, PRETTY_PARAMETER]);
    if (kind.namespaced && verbs.includes("list")) {
      const everywhere = collection.replace("/namespaces/{namespace}", "");
      this.#add(paths, everywhere, this.#operations(verbs, ["list"], "ForAllNamespaces"), [PRETTY_PARAMETER]);
    }
    const itemParameters = [NAME_PARAMETER, ...scope, PRETTY_PARAMETER];
    this.#add(paths, item, this.#operations(verbs, ["get", "update", "patch", "delete"]), itemParameters);
    for (const { name, verbs: own } of subresources) {
      const suffix = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
      this.#add(paths, `${item}/${name}`, this.#operations(own, ["get", "update", "patch"], suffix), itemParameters);
    }
    return paths;
  }

  #add(
    paths: Record<string, OpenApiObject>,
    path: string,
    operations: OpenApiObject,
    parameters: readonly OpenApiObject[],
  ): void {
    if (Object.keys(operations).length > 0) paths[path] = { ...operations, parameters };
  }

  #collectionOperations(verbs: readonly string[]): OpenApiObject {
    return this.#operations(verbs, ["list", "create", "deletecollection"]);
  }

  #operations(verbs: readonly string[], wanted: readonly string[], suffix = ""): OpenApiObject {
    const operations = wanted.filter((verb) => verbs.includes(verb)).map((verb) => this.#operation(verb, suffix));
    return Object.fromEntries(operations);
  }

  #operation(verb: string, suffix: string): [string, OpenApiObject] {
    const object = this.#collector.reference(this.#kind.schema.name);
    const status = this.#collector.reference(statusSchema.name);
    switch (verb) {
      case "list":
        return [
          "get",
          this.#describe("list", "list", suffix, LIST_PARAMETERS, {
            200: this.#collector.reference(listSchemaOf(this.#kind).name),
          }),
        ];
      case "create":
        return [
          "post",
          this.#describe("create", "post", suffix, CREATE_PARAMETERS, {
            200: object,
            201: object,
            202: object,
          }, bodyOf(object)),
        ];
      case "update":
        return [
          "put",
          this.#describe("replace", "put", suffix, CREATE_PARAMETERS, {
            200: object,
            201: object,
          }, bodyOf(object)),
        ];
      case "patch": {
        const patch = { schema: this.#collector.reference(PATCH) };
        const content = Object.fromEntries(PATCH_TYPES.map((type) => [type, patch]));
        return [
          "patch",
          this.#describe("patch", "patch", suffix, PATCH_PARAMETERS, {
            200: object,
            201: object,
          }, { content, required: true }),
        ];
      }
      case "get":
        return ["get", this.#describe("read", "get", suffix, [], { 200: object })];
      default: {
        const isCollection = verb === "deletecollection";
        const parameters = isCollection ? [...DELETE_PARAMETERS, ...LIST_PARAMETERS] : DELETE_PARAMETERS;
        const options = this.#collector.reference(deleteOptionsSchema.name);
        return [
          "delete",
          this.#describe("delete", verb, suffix, parameters, {
            200: status,
            ...(isCollection ? {} : { 202: status }),
          }, { content: { "*/*": { schema: options } } }),
        ];
      }
    }
  }

  #describe(
    verb: string,
    action: string,
    suffix: string,
    parameters: readonly OpenApiObject[],
    answers: Readonly<Record<number, OpenApiObject>>,
    requestBody?: OpenApiObject,
  ): OpenApiObject {
    const responses = Object.entries(answers).map(([code, schema]) => [code, answerOf(code, schema)]);
    const { group, version, kind, namespaced } = this.#kind;
    const tag = groupTag(group);
    const scope = (action === "deletecollection" ? "Collection" : "") +
      (namespaced && suffix !== "ForAllNamespaces" ? "Namespaced" : "");
    const versionName = version.charAt(0).toUpperCase() + version.slice(1);
    return {
      description: `${verb} ${kind}`,
      operationId: `${verb}${tag.charAt(0).toUpperCase()}${tag.slice(1)}${versionName}${scope}${kind}${suffix}`,
      tags: [`${tag}_${version}`],
      ...(parameters.length > 0 ? { parameters } : {}),
      ...(requestBody === undefined ? {} : { requestBody }),
      responses: { ...Object.fromEntries(responses), 401: { description: "Unauthorized" } },
      "x-kubernetes-action": action,
      [GVK_EXTENSION]: identityOf(this.#kind, kind),
    };
  }
}

function bodyOf(schema: OpenApiObject): OpenApiObject {
  return { content: { "*/*": { schema } }, required: true };
}

const ANSWERS: Readonly<Record<string, string>> = { 200: "OK", 201: "Created", 202: "Accepted" };

function answerOf(code: string, schema: OpenApiObject): OpenApiObject {
  return { description: ANSWERS[code], content: Object.fromEntries(BODY_TYPES.map((type) => [type, { schema }])) };
}

/** `certificates` for `certificates.k8s.io`, `core` for the empty group. */
function groupTag(group: string): string {
  if (group === "") return "core";
  const parts = group.replace(/\.k8s\.io$/, "").split(".");
  return parts.map((part, index) => (index === 0 ? part : part.charAt(0).toUpperCase() + part.slice(1))).join("");
}
