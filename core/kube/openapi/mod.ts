/** OpenAPI of the served kinds, for kubectl. */
export { encodeGnostic, type GnosticType } from "./gnostic.ts";
export { GNOSTIC_V2 } from "./gnostic_v2.ts";
export { GNOSTIC_V3 } from "./gnostic_v3.ts";
export type { OpenApiObject } from "./schemas.ts";
export type { ServedKind, ServedSubresource } from "./route.ts";
export { createOpenApiV2 } from "./v2.ts";
export { createOpenApiV3Documents, type DocumentFactories } from "./v3.ts";
export { formatDocumentName } from "./routes.ts";
