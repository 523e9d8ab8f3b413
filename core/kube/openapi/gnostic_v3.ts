/** Maps the members of an OpenAPI v3 document to gnostic's messages (`openapiv3/OpenAPIv3.proto`). */
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
