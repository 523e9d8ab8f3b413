/**
 * OpenAPI v2, a single document that only clients without support for v3 request, as protobuf (kube-openapi
 * `pkg/builder`, `pkg/builder/parameters.go`), and the table of gnostic's messages for it (`openapiv2/OpenAPIv2.proto`).
 */
import { encodeBase64 } from "../../lib/encodings.ts";
import {
  ANSWERS,
  byName,
  createPathItems,
  formatVersionLabel,
  getOwnParameters,
  listGroupVersions,
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

/** The parameters that are not shared, because old versions of kubectl look for them in the operations themselves. */
const UNSHARED_PARAMETERS: readonly string[] = ["name", "fieldValidation", "dryRun"];

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
  if (typeof schema !== "object" || schema === null) return !UNSHARED_PARAMETERS.includes(String(name));
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

const SCHEMA: GnosticMessage = createGnosticMessage(() => ({
  $ref: [1, TEXT],
  format: [2, TEXT],
  description: [4, TEXT],
  default: [5, ANY],
  required: [19, TEXTS],
  enum: [20, { kind: "each", of: ANY }],
  additionalProperties: [21, inside(SCHEMA)],
  type: [22, inside(TEXT)],
  items: [23, inside(SCHEMA)],
  properties: [25, namedInside(SCHEMA)],
}), 31);

const REFERENCE = createGnosticMessage(() => ({ $ref: [1, TEXT], description: [2, TEXT] }));

const BODY_PARAMETER = createGnosticMessage(() => ({
  description: [1, TEXT],
  name: [2, TEXT],
  in: [3, TEXT],
  required: [4, FLAG],
  schema: [5, SCHEMA],
}), 6);

const QUERY_PARAMETER = createGnosticMessage(() => ({
  required: [1, FLAG],
  in: [2, TEXT],
  description: [3, TEXT],
  name: [4, TEXT],
  type: [6, TEXT],
  uniqueItems: [20, FLAG],
}), 23);

const PATH_PARAMETER = createGnosticMessage(() => ({
  required: [1, FLAG],
  in: [2, TEXT],
  description: [3, TEXT],
  name: [4, TEXT],
  type: [5, TEXT],
  uniqueItems: [19, FLAG],
}), 22);

const isIn = (place: string) => (value: unknown): boolean =>
  typeof value === "object" && value !== null && Reflect.get(value, "in") === place;

const NON_BODY_PARAMETER: GnosticType = {
  kind: "either",
  choices: [
    { number: 3, of: QUERY_PARAMETER, fits: isIn("query") },
    { number: 4, of: PATH_PARAMETER, fits: isIn("path") },
  ],
};
const PARAMETER: GnosticType = {
  kind: "either",
  choices: [
    { number: 1, of: BODY_PARAMETER, fits: isIn("body") },
    { number: 2, of: NON_BODY_PARAMETER, fits: fitsAlways },
  ],
};
const PARAMETER_OR_REFERENCE: GnosticType = {
  kind: "either",
  choices: [
    { number: 2, of: REFERENCE, fits: isReference },
    { number: 1, of: PARAMETER, fits: fitsAlways },
  ],
};

const RESPONSE = createGnosticMessage(() => ({
  description: [1, TEXT],
  schema: [2, inside(SCHEMA)],
}), 5);

const OPERATION = createGnosticMessage(() => ({
  tags: [1, TEXTS],
  description: [3, TEXT],
  operationId: [5, TEXT],
  produces: [6, TEXTS],
  consumes: [7, TEXTS],
  parameters: [8, { kind: "each", of: PARAMETER_OR_REFERENCE }],
  responses: [9, namedInside(inside(RESPONSE))],
  schemes: [10, TEXTS],
}), 13);

const PATH_ITEM = createGnosticMessage(() => ({
  get: [2, OPERATION],
  put: [3, OPERATION],
  post: [4, OPERATION],
  delete: [5, OPERATION],
  patch: [8, OPERATION],
  parameters: [9, { kind: "each", of: PARAMETER_OR_REFERENCE }],
}), 10);

const INFO = createGnosticMessage(() => ({ title: [1, TEXT], version: [2, TEXT] }), 7);

const API_KEY = createGnosticMessage(() => ({
  type: [1, TEXT],
  name: [2, TEXT],
  in: [3, TEXT],
  description: [4, TEXT],
}), 5);

/** The table of the message `openapi.v2.Document`. */
export const GNOSTIC_V2: GnosticMessage = createGnosticMessage(() => ({
  swagger: [1, TEXT],
  info: [2, INFO],
  paths: [8, namedInside(PATH_ITEM, 2)],
  definitions: [9, namedInside(SCHEMA)],
  parameters: [10, namedInside(PARAMETER)],
  security: [12, { kind: "each", of: namedInside(inside(TEXTS)) }],
  securityDefinitions: [13, namedInside(inside(API_KEY, 2))],
}), 16);
