/**
 * OpenAPI v3: one document for each group and version, which kubectl requests before it creates, applies, edits, diffs
 * or explains (kube-openapi `pkg/builder3`).
 */
import { ANSWERS, createPathItems, formatVersionLabel, getOwnParameters } from "./path_items.ts";
import type { Parameter } from "./parameters.ts";
import type { GroupVersion, Route, ServedKind } from "./route.ts";
import { createRoutes, listTypes } from "./routes.ts";
import { GVK_EXTENSION, type OpenApiObject, SchemaCollector, TEXT_SCHEMA } from "./schemas.ts";

/** Functions that create a document, by its name, such as `apis/certificates.k8s.io/v1`. */
export type DocumentFactories = ReadonlyMap<string, () => OpenApiObject>;

/** Returns all documents, sorted by name. `serverVersion` is the git version that `/version` reports. */
export function createOpenApiV3Documents(
  kinds: readonly ServedKind[],
  serverVersion: string,
  isIssuerServed = false,
): DocumentFactories {
  const documents = [...createRoutes(kinds, isIssuerServed)].sort(([a], [b]) => (a < b ? -1 : 1));
  const types = listTypes(documents.flatMap(([, routes]) => routes));
  const label = formatVersionLabel(serverVersion);
  return new Map(documents.map(([name, routes]) => {
    const make = () => createDocument(routes, new SchemaCollector(3, types, parseGroupVersions(name)), label);
    return [name, make];
  }));
}

/** Parses the name of a document: `apis/x/v1` has a group and a version, `apis/x` does not. */
function parseGroupVersions(name: string): readonly GroupVersion[] {
  const [root, group = "", version] = name.split("/");
  return root === "apis" && version !== undefined ? [{ group, version }] : [];
}

function createDocument(routes: readonly Route[], collector: SchemaCollector, label: string): OpenApiObject {
  const paths = createPathItems(routes).map(({ path, routes: own, common }) => [path, {
    ...Object.fromEntries(
      own.map((route) => [route.method, createOperation(route, getOwnParameters(route, common), collector)]),
    ),
    ...(common.length > 0 ? { parameters: common.map(createParameter) } : {}),
  }]);
  const schemas = collector.schemas();
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: label },
    paths: Object.fromEntries(paths),
    components: {
      ...(Object.keys(schemas).length === 0 ? {} : { schemas }),
      securitySchemes: {
        BearerToken: {
          type: "apiKey",
          description: "A bearer token.",
          name: "authorization",
          in: "header",
        },
      },
    },
  };
}

function createOperation(route: Route, parameters: readonly Parameter[], collector: SchemaCollector): OpenApiObject {
  const answers = Object.entries(route.answers).map(([code, type]) => [code, {
    description: ANSWERS[code],
    content: createContent(route.produces, type === "text" ? TEXT_SCHEMA : collector.use(type)),
  }]);
  const { body, kind } = route;
  return {
    tags: [route.tag],
    description: route.description,
    operationId: route.operationId,
    ...(parameters.length > 0 ? { parameters: parameters.map(createParameter) } : {}),
    ...(body === undefined ? {} : {
      requestBody: {
        content: createContent(route.consumes ?? [], collector.use(body.type)),
        ...(body.required ? { required: true } : {}),
      },
    }),
    responses: { ...Object.fromEntries(answers), 401: { description: ANSWERS[401] } },
    ...(route.action === undefined ? {} : { "x-kubernetes-action": route.action }),
    ...(kind === undefined ? {} : {
      [GVK_EXTENSION]: { group: kind.group, version: kind.version, kind: kind.kind },
    }),
  };
}

function createContent(types: readonly string[], schema: OpenApiObject): OpenApiObject {
  return Object.fromEntries([...types].sort().map((type) => [type, { schema }]));
}

function createParameter({ name, in: place, description, type }: Parameter): OpenApiObject {
  return {
    name,
    in: place,
    description,
    ...(place === "path" ? { required: true } : {}),
    schema: { type, uniqueItems: true },
  };
}
