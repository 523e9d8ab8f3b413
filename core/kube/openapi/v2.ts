/**
 * OpenAPI v2: everything in one document, which only clients older than v3 ask for, and then as protobuf
 * (api-wire.md section 4.2; kube-openapi `pkg/builder`).
 */
import { apiVersionLabel } from "./label.ts";
import type { Parameter } from "./parameters.ts";
import { ANSWERS, byName, createPathItems, ownParameters } from "./path_items.ts";
import type { Route } from "./route.ts";
import { createRoutes, listTypes } from "./routes.ts";
import { GVK_EXTENSION, type OpenApiObject, SchemaCollector } from "./schemas.ts";
import { listGroupVersions, type ServedKind } from "./served_kind.ts";
import { SharedParameters } from "./shared_parameters.ts";

/** The document; `serverVersion` is the git version that `/version` tells. */
export function openapiV2(kinds: readonly ServedKind[], serverVersion: string): OpenApiObject {
  const routes = [...createRoutes(kinds).values()].flat();
  const collector = new SchemaCollector(2, listTypes(routes), listGroupVersions(kinds));
  const shared = new SharedParameters();
  const paths = createPathItems(routes).map(({ path, routes: own, common }) => [path, {
    ...Object.fromEntries(own.map((route) => {
      const parameters = ownParameters(route, common);
      return [route.method, createOperation(route, parameters, collector, shared)];
    })),
    ...(common.length > 0 ? { parameters: common.map((parameter) => shared.use(createParameter(parameter))) } : {}),
  }]);
  return {
    swagger: "2.0",
    info: { title: "Kubernetes", version: apiVersionLabel(serverVersion) },
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
    schema: collector.use(type),
  }]);
  return {
    description: route.description,
    consumes: route.consumes,
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
