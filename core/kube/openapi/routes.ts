/**
 * Every operation of the served kinds, as in kube-apiserver's router: the input of both OpenAPI v2 and v3 (apiserver
 * `pkg/endpoints/installer.go`, `pkg/endpoints/openapi`).
 */
import {
  apiGroupListSchema,
  apiGroupSchema,
  apiResourceListSchema,
  apiVersionsSchema,
  versionInfoSchema,
} from "../kinds/discovery_v1.ts";
import { createResourceRoutes } from "./resource_routes.ts";
import {
  capitalized,
  groupTag,
  type GroupVersion,
  listGroupVersions,
  metaType,
  OBJECT_TYPES,
  type Route,
  type ServedKind,
  type WireType,
} from "./route.ts";

/** The operations of one OpenAPI v3 document, by the document's name. */
export type RoutesByDocument = ReadonlyMap<string, readonly Route[]>;

/**
 * All operations: `/api/`, `/apis/`, each group, each group and version with its kinds, `/version/`, and where the issuer
 * of service account tokens can be discovered, its documents.
 */
export function createRoutes(kinds: readonly ServedKind[], isIssuerServed: boolean): RoutesByDocument {
  const documents = new Map<string, readonly Route[]>([
    ["api", [discoveryRoute("/api/", "getCoreAPIVersions", "core", metaType(apiVersionsSchema, "APIVersions"))]],
    ["apis", [discoveryRoute("/apis/", "getAPIVersions", "apis", metaType(apiGroupListSchema, "APIGroupList"))]],
    ["version", [versionRoute()]],
    ...(isIssuerServed ? ISSUER_ROUTES.map((route) => [route.path.slice(1, -1), [route]] as const) : []),
  ]);
  for (const { group, version } of listGroupVersions(kinds)) {
    const tag = groupTag(group);
    if (group !== "") {
      const operation = `get${capitalized(tag)}APIGroup`;
      const route = discoveryRoute(`/apis/${group}/`, operation, tag, metaType(apiGroupSchema, "APIGroup"));
      documents.set(`apis/${group}`, [route]);
    }
    const name = formatDocumentName({ group, version });
    const operation = `get${capitalized(tag)}${capitalized(version)}APIResources`;
    const list = metaType(apiResourceListSchema, "APIResourceList");
    const served = kinds.filter(({ kind }) => kind.group === group && kind.version === version);
    documents.set(name, [
      discoveryRoute(`/${name}/`, operation, `${tag}_${version}`, list),
      ...served.flatMap((one) => createResourceRoutes(one)),
    ]);
  }
  return documents;
}

/** Returns every type that is the body or an answer of an operation. */
export function listTypes(routes: Iterable<Route>): readonly WireType[] {
  return [...routes].flatMap(({ answers, body }) => [
    ...Object.values(answers).filter((answer) => answer !== "text"),
    ...(body === undefined ? [] : [body.type]),
  ]);
}

/** Returns the name of the OpenAPI v3 document of a group and version, such as `apis/certificates.k8s.io/v1`. */
export function formatDocumentName({ group, version }: GroupVersion): string {
  return group === "" ? `api/${version}` : `apis/${group}/${version}`;
}

/** The documents of the issuer of service account tokens (`pkg/routes/openidmetadata.go`). */
const ISSUER_ROUTES: readonly Route[] = [
  {
    path: "/.well-known/openid-configuration/",
    operationId: "getServiceAccountIssuerOpenIDConfiguration",
    tag: "WellKnown",
    description: "The provider configuration of the issuer of service account tokens.",
    produces: ["application/json"],
  },
  {
    path: "/openid/v1/jwks/",
    operationId: "getServiceAccountIssuerOpenIDKeyset",
    tag: "openid",
    description: "The public keys that verify service account tokens.",
    produces: ["application/jwk-set+json"],
  },
].map((document) => ({ ...document, method: "get", parameters: [], answers: { 200: "text" } }));

function discoveryRoute(path: string, operationId: string, tag: string, type: WireType): Route {
  return {
    path,
    method: "get",
    operationId,
    tag,
    description: `What is served below ${path}.`,
    parameters: [],
    consumes: OBJECT_TYPES,
    produces: OBJECT_TYPES,
    answers: { 200: type },
  };
}

function versionRoute(): Route {
  const json = ["application/json"];
  return {
    path: "/version/",
    method: "get",
    operationId: "getCodeVersion",
    tag: "version",
    description: "The version of the server.",
    parameters: [],
    consumes: json,
    produces: json,
    answers: { 200: { message: versionInfoSchema, identities: [], typed: false } },
  };
}
