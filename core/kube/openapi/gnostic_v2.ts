/** Maps the members of an OpenAPI v2 document to gnostic's messages (`openapiv2/OpenAPIv2.proto`). */
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
