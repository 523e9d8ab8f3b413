/** OpenAPI of the served kinds, for kubectl. */
export type { OpenApiObject } from "./schemas.ts";
export type { ServedKind } from "./served_kind.ts";
export { openapiV2Json, openapiV2Protobuf } from "./v2.ts";
export { openapiV3Document } from "./v3.ts";
