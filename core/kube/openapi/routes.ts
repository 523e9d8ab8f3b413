/**
 * Every operation of the served kinds, as in kube-apiserver's router: the input of both OpenAPI v2 and v3 (apiserver
 * `pkg/endpoints/installer.go`, `pkg/endpoints/openapi`). A kind has operations of its collection, objects and subresources,
 * and of the old `/watch/` paths.
 */
import { capitalize } from "../../lib/printable.ts";
import {
  apiGroupListSchema,
  apiGroupSchema,
  apiResourceListSchema,
  apiVersionsSchema,
  versionInfoSchema,
} from "../kinds/discovery.ts";
import {
  DELETE_COLLECTION_PARAMETERS,
  DELETE_OPTIONS_TYPE,
  DELETE_PARAMETERS,
  groupTag,
  type GroupVersion,
  LIST_PARAMETERS,
  listGroupVersions,
  listType,
  metaType,
  nameParameter,
  NAMESPACE_PARAMETER,
  OBJECT_TYPES,
  objectType,
  type Parameter,
  PATCH_PARAMETERS,
  PATCH_TYPE,
  PRETTY_PARAMETER,
  type Route,
  type ServedKind,
  STATUS_TYPE,
  toGroupVersionKind,
  WATCH_EVENT_TYPE,
  type WireType,
  WRITE_PARAMETERS,
} from "./route.ts";
import { PATCH_MEDIA_TYPES } from "../patch/patch_result.ts";
import { formatObjectPath, type Kind } from "../schema.ts";

/** The operations of one OpenAPI v3 document, by the document's name. */
type RoutesByDocument = ReadonlyMap<string, readonly Route[]>;

/**
 * Creates all operations: of `/api/`, `/apis/`, each group, each group and version with its kinds, `/version/`, and the
 * documents of the issuer of service account tokens if they are served.
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
      const operation = `get${capitalize(tag)}APIGroup`;
      const route = discoveryRoute(`/apis/${group}/`, operation, tag, metaType(apiGroupSchema, "APIGroup"));
      documents.set(`apis/${group}`, [route]);
    }
    const name = formatDocumentName({ group, version });
    const operation = `get${capitalize(tag)}${capitalize(version)}APIResources`;
    const list = metaType(apiResourceListSchema, "APIResourceList");
    const served = kinds.filter(({ kind }) => kind.group === group && kind.version === version);
    documents.set(name, [
      discoveryRoute(`/${name}/`, operation, `${tag}_${version}`, list),
      ...served.flatMap(createResourceRoutes),
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

const ANY_TYPE: readonly string[] = ["*/*"];
const WATCHED_TYPES: readonly string[] = [
  ...OBJECT_TYPES,
  "application/json;stream=watch",
  "application/vnd.kubernetes.protobuf;stream=watch",
];

/** The path of some operations of a kind, and how the operations are named. */
interface Place {
  readonly path: string;
  readonly parameters: readonly Parameter[];
  /** The part of an operation id before the kind. */
  readonly scope: "" | "Namespaced";
  /** The part of an operation id after the kind. */
  readonly suffix: string;
}

/** An operation without its path. */
type Operation = Pick<Route, "method" | "action" | "answers"> & {
  /** The first part of an operation id. */
  readonly word: string;
  readonly parameters?: readonly Parameter[];
  readonly body?: NonNullable<Route["body"]>;
  readonly consumes?: readonly string[];
  readonly produces?: readonly string[];
};

function createResourceRoutes(served: ServedKind): readonly Route[] {
  const { kind, verbs, subresources } = served;
  const scoped = kind.namespaced ? [NAMESPACE_PARAMETER] : [];
  const item = decodeURIComponent(formatObjectPath(kind, "{name}", kind.namespaced ? "{namespace}" : ""));
  const scope = kind.namespaced ? "Namespaced" : "";
  const collection: Place = { path: item.slice(0, -"/{name}".length), parameters: scoped, scope, suffix: "" };
  const object: Place = { path: item, parameters: [nameParameter(kind.kind), ...scoped], scope, suffix: "" };
  return [
    ...createRoutesAt(kind, collection, createOperations(served, verbs, COLLECTION_VERBS)),
    ...createAllNamespacesRoutes(served, collection),
    ...createRoutesAt(kind, object, createOperations(served, verbs, OBJECT_VERBS)),
    ...subresources.flatMap((sub) => {
      const place = { ...object, path: `${item}/${sub.name}`, suffix: capitalize(sub.name) };
      const kindOfSub = sub.kind ?? kind;
      const operations = createOperations({ ...served, kind: kindOfSub }, sub.verbs, SUBRESOURCE_VERBS);
      return createRoutesAt(kind, place, operations, kindOfSub);
    }),
    ...(verbs.includes("watch") ? createWatchRoutes(kind, collection, object) : []),
  ];
}

const COLLECTION_VERBS: readonly string[] = ["list", "create", "deletecollection"];
const OBJECT_VERBS: readonly string[] = ["get", "update", "delete", "patch"];
const SUBRESOURCE_VERBS: readonly string[] = ["get", "create", "update", "patch"];

/** Creates the list of all namespaces, the only operation across namespaces. */
function createAllNamespacesRoutes(served: ServedKind, collection: Place): readonly Route[] {
  if (!served.kind.namespaced || !served.verbs.includes("list")) return [];
  return createRoutesAt(served.kind, toAllNamespaces(collection), createOperations(served, served.verbs, ["list"]));
}

function toAllNamespaces({ path }: Place): Place {
  return {
    path: path.replace("/namespaces/{namespace}", ""),
    parameters: [],
    scope: "",
    suffix: "ForAllNamespaces",
  };
}

function createWatchRoutes(kind: Kind, collection: Place, object: Place): readonly Route[] {
  const root = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const below = (place: Place): Place => ({ ...place, path: `${root}/watch${place.path.slice(root.length)}` });
  const watch = (action: string): Operation => ({
    method: "get",
    word: "watch",
    action,
    parameters: LIST_PARAMETERS,
    produces: WATCHED_TYPES,
    answers: { 200: WATCH_EVENT_TYPE },
  });
  const all = toAllNamespaces(collection);
  return [
    ...createRoutesAt(kind, below({ ...collection, suffix: "List" }), [watch("watchlist")]),
    ...(kind.namespaced
      ? createRoutesAt(kind, below({ ...all, suffix: `List${all.suffix}` }), [watch("watchlist")])
      : []),
    ...createRoutesAt(kind, below(object), [watch("watch")]),
  ];
}

/**
 * Creates routes. `kind` is the kind of the resource, which names the operations. `tagged` is the kind in the extension
 * `x-kubernetes-group-version-kind`.
 */
function createRoutesAt(
  kind: Kind,
  place: Place,
  operations: readonly Operation[],
  tagged: Kind = kind,
): readonly Route[] {
  const tag = groupTag(kind.group);
  const versioned = `${capitalize(tag)}${capitalize(kind.version)}`;
  return operations.map(({ word, parameters = [], consumes = ANY_TYPE, produces = OBJECT_TYPES, ...operation }) => {
    const many = operation.action === "deletecollection" ? "Collection" : "";
    return {
      path: place.path,
      operationId: `${word}${versioned}${many}${place.scope}${kind.kind}${place.suffix}`,
      tag: `${tag}_${kind.version}`,
      description: `${capitalize(word)} ${kind.kind} objects.`,
      kind: toGroupVersionKind(tagged, tagged.kind),
      parameters: [...parameters, ...place.parameters, PRETTY_PARAMETER],
      consumes,
      produces,
      ...operation,
    };
  });
}

function createOperations(
  served: ServedKind,
  verbs: readonly string[],
  wanted: readonly string[],
): readonly Operation[] {
  return wanted.filter((verb) => verbs.includes(verb)).map((verb) => createOperation(served, verb));
}

function createOperation(
  { kind, verbs, deleteReturnsObject }: ServedKind,
  verb: string,
): Operation {
  const object = objectType(kind);
  const body = { type: object, required: true };
  switch (verb) {
    case "list":
      return {
        method: "get",
        word: "list",
        action: "list",
        parameters: LIST_PARAMETERS,
        produces: verbs.includes("watch") ? WATCHED_TYPES : OBJECT_TYPES,
        answers: { 200: listType(kind) },
      };
    case "get":
      return { method: "get", word: "read", action: "get", answers: { 200: object } };
    case "create": {
      const answers = { 200: object, 201: object, 202: object };
      return { method: "post", word: "create", action: "post", parameters: WRITE_PARAMETERS, body, answers };
    }
    case "update": {
      const answers = { 200: object, 201: object };
      return { method: "put", word: "replace", action: "put", parameters: WRITE_PARAMETERS, body, answers };
    }
    case "patch":
      return {
        method: "patch",
        word: "patch",
        action: "patch",
        parameters: PATCH_PARAMETERS,
        body: { type: PATCH_TYPE, required: true },
        consumes: Object.keys(PATCH_MEDIA_TYPES),
        answers: { 200: object, 201: object },
      };
    case "delete": {
      const answer: WireType = deleteReturnsObject === true ? object : STATUS_TYPE;
      return deletion("delete", DELETE_PARAMETERS, { 200: answer, 202: answer });
    }
    default:
      return deletion("deletecollection", DELETE_COLLECTION_PARAMETERS, { 200: STATUS_TYPE });
  }
}

function deletion(action: string, parameters: readonly Parameter[], answers: Route["answers"]): Operation {
  const body = { type: DELETE_OPTIONS_TYPE, required: false };
  return { method: "delete", word: "delete", action, parameters, body, answers };
}
