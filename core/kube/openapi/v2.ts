/**
 * OpenAPI v2, a single document that only clients without support for v3 request, as protobuf (kube-openapi
 * `pkg/builder`, `pkg/builder/parameters.go`).
 */
import { encodeBase64 } from "../../lib/base64.ts";
import { ANSWERS, byName, createPathItems, formatVersionLabel, getOwnParameters } from "./path_items.ts";
import type { Parameter } from "./parameters.ts";
import { listGroupVersions, type Route, type ServedKind } from "./route.ts";
import { createRoutes, listTypes } from "./routes.ts";
import { GVK_EXTENSION, type OpenApiObject, SchemaCollector, TEXT_SCHEMA } from "./schemas.ts";

/** Creates the document; `serverVersion` is the git version that `/version` reports. */
export function createOpenApiV2(
  kinds: readonly ServedKind[],
  serverVersion: string,
  isIssuerServed = false,
): OpenApiObject {
  const routes = [...createRoutes(kinds, isIssuerServed).values()].flat();
  const collector = new SchemaCollector(2, listTypes(routes), listGroupVersions(kinds));
  const shared = new SharedParameters();
  const paths = createPathItems(routes).map(({ path, routes: own, common }) => [path, {
    ...Object.fromEntries(own.map((route) => {
      const parameters = getOwnParameters(route, common);
      return [route.method, createOperation(route, parameters, collector, shared)];
    })),
    ...(common.length > 0 ? { parameters: common.map((parameter) => shared.use(createParameter(parameter))) } : {}),
  }]);
  return {
    swagger: "2.0",
    info: { title: "Kubernetes", version: formatVersionLabel(serverVersion) },
    paths: Object.fromEntries(paths),
    definitions: collector.schemas(),
    parameters: shared.all(),
    securityDefinitions: {
      BearerToken: {
        description: "A bearer token.",
        type: "apiKey",
        name: "authorization",
        in: "header",
      },
    },
    security: [{ BearerToken: [] }],
  };
}

function createOperation(
  route: Route,
  own: readonly Parameter[],
  collector: SchemaCollector,
  shared: SharedParameters,
): OpenApiObject {
  const { body, kind } = route;
  const parameters = [
    ...own.map(createParameter),
    ...(body === undefined ? [] : [{
      name: "body",
      in: "body",
      ...(body.required ? { required: true } : {}),
      schema: collector.use(body.type),
    }]),
  ].sort(byName);
  const answers = Object.entries(route.answers).map(([code, type]) => [code, {
    description: ANSWERS[code],
    schema: type === "text" ? TEXT_SCHEMA : collector.use(type),
  }]);
  return {
    description: route.description,
    ...(route.consumes === undefined ? {} : { consumes: route.consumes }),
    produces: route.produces,
    schemes: ["https"],
    tags: [route.tag],
    operationId: route.operationId,
    ...(parameters.length > 0 ? { parameters: parameters.map((parameter) => shared.use(parameter)) } : {}),
    responses: { ...Object.fromEntries(answers), 401: { description: ANSWERS[401] } },
    ...(route.action === undefined ? {} : { "x-kubernetes-action": route.action }),
    ...(kind === undefined ? {} : {
      [GVK_EXTENSION]: { group: kind.group, kind: kind.kind, version: kind.version },
    }),
  };
}

function createParameter({ name, in: place, description, type }: Parameter): OpenApiObject & { readonly name: string } {
  return {
    uniqueItems: true,
    type,
    description,
    name,
    in: place,
    ...(place === "path" ? { required: true } : {}),
  };
}

/** The parameters that are not shared: old versions of kubectl search the operations themselves for them. */
const KEPT_IN_PLACE: readonly string[] = ["name", "fieldValidation", "dryRun"];

/** Collects the parameters that operations refer to instead of repeating them. */
class SharedParameters {
  readonly #named = new Map<string, OpenApiObject>();

  /** Returns a reference to the shared parameter, or the parameter itself if it belongs to one kind. */
  use(parameter: OpenApiObject): OpenApiObject {
    if (!isShared(parameter)) return parameter;
    const name = `${String(parameter["name"])}-${hashParameter(JSON.stringify(parameter))}`;
    this.#named.set(name, parameter);
    return { $ref: `#/parameters/${name}` };
  }

  /** Returns all shared parameters, sorted by name. */
  all(): OpenApiObject {
    return Object.fromEntries([...this.#named].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}

/** Reports whether a parameter is shared. The only shared bodies are those that every kind has: options and patches. */
function isShared({ name, schema }: OpenApiObject): boolean {
  if (typeof schema !== "object" || schema === null) return !KEPT_IN_PLACE.includes(String(name));
  return String(Reflect.get(schema, "$ref")).startsWith("#/definitions/io.k8s.apimachinery");
}

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;

/** Hashes a parameter: six bytes of FNV-1 (64 bits) as eight characters of base64url. */
function hashParameter(text: string): string {
  let hash = FNV_OFFSET;
  for (const byte of new TextEncoder().encode(text)) hash = BigInt.asUintN(64, hash * FNV_PRIME) ^ BigInt(byte);
  const bytes = Uint8Array.from({ length: 6 }, (_, index) => Number(BigInt.asUintN(8, hash >> BigInt(56 - 8 * index))));
  return encodeBase64(bytes).replaceAll("+", "-").replaceAll("/", "_");
}
