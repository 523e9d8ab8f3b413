/**
 * OpenAPI v3: one document for each group and version, which kubectl requests before it creates, applies, edits, diffs
 * or explains (kube-openapi `pkg/builder3`), and the table of gnostic's messages for them (`openapiv3/OpenAPIv3.proto`).
 */
import {
  ANSWERS,
  createPathItems,
  formatVersionLabel,
  getOwnParameters,
  type GroupVersion,
  type Parameter,
  type Route,
  type ServedKind,
} from "./route.ts";
import { createRoutes, listTypes } from "./routes.ts";
import { GVK_EXTENSION, type OpenApiObject, SchemaCollector, TEXT_SCHEMA } from "./schemas.ts";
import {
  ANY,
  createGnosticMessage,
  fitsAlways,
  FLAG,
  type GnosticMessage,
  type GnosticType,
  inside,
  isReference,
  namedInside,
  TEXT,
  TEXTS,
} from "./gnostic.ts";

/** Functions that create a document, by its name, such as `apis/certificates.k8s.io/v1`. */
type DocumentFactories = ReadonlyMap<string, () => OpenApiObject>;

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

const REFERENCE = createGnosticMessage(() => ({ $ref: [1, TEXT] }));

function orReference(of: GnosticType): GnosticType {
  return {
    kind: "either",
    choices: [{ number: 2, of: REFERENCE, fits: isReference }, { number: 1, of, fits: fitsAlways }],
  };
}

/** A default that is a number, a flag or text; gnostic drops the members of any other. */
const DEFAULT: GnosticType = {
  kind: "either",
  choices: [
    { number: 1, of: { kind: "number" }, fits: (value) => typeof value === "number" },
    { number: 2, of: FLAG, fits: (value) => typeof value === "boolean" },
    { number: 3, of: TEXT, fits: (value) => typeof value === "string" },
  ],
};

const SCHEMA: GnosticMessage = createGnosticMessage(() => ({
  uniqueItems: [20, FLAG],
  required: [23, TEXTS],
  enum: [24, { kind: "each", of: ANY }],
  type: [25, TEXT],
  allOf: [26, { kind: "each", of: orReference(SCHEMA) }],
  oneOf: [27, { kind: "each", of: orReference(SCHEMA) }],
  items: [30, inside(orReference(SCHEMA))],
  properties: [31, namedInside(orReference(SCHEMA))],
  additionalProperties: [32, inside(orReference(SCHEMA))],
  default: [33, DEFAULT],
  description: [34, TEXT],
  format: [35, TEXT],
}), 36);

const CONTENT = namedInside(createGnosticMessage(() => ({ schema: [1, orReference(SCHEMA)] }), 5));

const PARAMETER = createGnosticMessage(() => ({
  name: [1, TEXT],
  in: [2, TEXT],
  description: [3, TEXT],
  required: [4, FLAG],
  schema: [10, orReference(SCHEMA)],
}), 14);

const REQUEST_BODY = createGnosticMessage(
  () => ({ description: [1, TEXT], content: [2, CONTENT], required: [3, FLAG] }),
  4,
);

const RESPONSE = createGnosticMessage(() => ({ description: [1, TEXT], content: [3, CONTENT] }), 5);

const PARAMETERS: GnosticType = { kind: "each", of: orReference(PARAMETER) };

const OPERATION = createGnosticMessage(() => ({
  tags: [1, TEXTS],
  description: [3, TEXT],
  operationId: [5, TEXT],
  parameters: [6, PARAMETERS],
  requestBody: [7, orReference(REQUEST_BODY)],
  responses: [8, namedInside(orReference(RESPONSE), 2)],
}), 13);

const PATH_ITEM = createGnosticMessage(() => ({
  get: [4, OPERATION],
  put: [5, OPERATION],
  post: [6, OPERATION],
  delete: [7, OPERATION],
  patch: [10, OPERATION],
  parameters: [13, PARAMETERS],
}), 14);

const SECURITY_SCHEME = createGnosticMessage(() => ({
  type: [1, TEXT],
  description: [2, TEXT],
  name: [3, TEXT],
  in: [4, TEXT],
}), 9);

const COMPONENTS = createGnosticMessage(() => ({
  schemas: [1, namedInside(orReference(SCHEMA))],
  securitySchemes: [7, namedInside(orReference(SECURITY_SCHEME))],
}), 10);

const INFO = createGnosticMessage(() => ({ title: [1, TEXT], version: [6, TEXT] }), 7);

/** The table of the message `openapi.v3.Document`. */
export const GNOSTIC_V3: GnosticMessage = createGnosticMessage(() => ({
  openapi: [1, TEXT],
  info: [2, INFO],
  paths: [4, namedInside(PATH_ITEM)],
  components: [5, COMPONENTS],
}), 9);
