/**
 * OpenAPI v2, which only clients older than v3 ask for (api-wire.md section 4.2). They read the gnostic protobuf form;
 * paths are left out, schemas are complete.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type OpenApiObject, SchemaCollector } from "./schemas.ts";
import type { ServedKind } from "./served_kind.ts";

/** The document as JSON; `serverVersion` is the git version that `/version` tells. */
export function openapiV2Json(kinds: readonly ServedKind[], serverVersion: string): OpenApiObject {
  const collector = new SchemaCollector(2);
  for (const { kind } of kinds) collector.addKind(kind);
  return {
    swagger: "2.0",
    info: { title: "Kubernetes", version: serverVersion },
    paths: {},
    definitions: collector.schemas(),
  };
}

/** The same as a gnostic `openapi.v2.Document` (gnostic-models `openapiv2/OpenAPIv2.proto`). */
export function openapiV2Protobuf(kinds: readonly ServedKind[], serverVersion: string): Uint8Array<ArrayBuffer> {
  const document = openapiV2Json(kinds, serverVersion);
  const writer = new BinaryWriter();
  writeText(writer, 1, "2.0");
  writer.tag(2, WireType.LengthDelimited).fork();
  writeText(writer, 1, "Kubernetes");
  writeText(writer, 2, serverVersion);
  writer.join();
  writer.tag(8, WireType.LengthDelimited).fork().join();
  writer.tag(9, WireType.LengthDelimited).fork();
  writeNamedSchemas(writer, 1, document["definitions"]);
  writer.join();
  return writer.finish();
}

function writeNamedSchemas(writer: BinaryWriter, number: number, schemas: unknown): void {
  for (const [name, schema] of Object.entries(asObject(schemas))) {
    writer.tag(number, WireType.LengthDelimited).fork();
    writeText(writer, 1, name);
    writeMessage(writer, 2, () => writeSchema(writer, asObject(schema)));
    writer.join();
  }
}

/** The numbers are those of gnostic's `Schema`. */
function writeSchema(writer: BinaryWriter, schema: OpenApiObject): void {
  const { $ref, format, description, required, additionalProperties, type, items, properties } = schema;
  if (typeof $ref === "string") writeText(writer, 1, $ref);
  if (typeof format === "string") writeText(writer, 2, format);
  if (typeof description === "string") writeText(writer, 4, description);
  if (schema["default"] !== undefined) writeMessage(writer, 5, () => writeAny(writer, schema["default"]));
  if (Array.isArray(required)) { for (const name of required) writeText(writer, 19, String(name)); }
  if (additionalProperties !== undefined) {
    writeMessage(writer, 21, () => writeMessage(writer, 1, () => writeSchema(writer, asObject(additionalProperties))));
  }
  if (typeof type === "string") writeMessage(writer, 22, () => writeText(writer, 1, type));
  if (items !== undefined) {
    writeMessage(writer, 23, () => writeMessage(writer, 1, () => writeSchema(writer, asObject(items))));
  }
  if (properties !== undefined) writeMessage(writer, 25, () => writeNamedSchemas(writer, 1, properties));
  for (const [name, value] of Object.entries(schema)) {
    if (!name.startsWith("x-")) continue;
    writeMessage(writer, 31, () => {
      writeText(writer, 1, name);
      writeMessage(writer, 2, () => writeAny(writer, value));
    });
  }
}

/** gnostic's `Any` holds YAML text, of which JSON is a part. */
function writeAny(writer: BinaryWriter, value: unknown): void {
  writeText(writer, 2, JSON.stringify(value));
}

function writeMessage(writer: BinaryWriter, number: number, write: () => void): void {
  writer.tag(number, WireType.LengthDelimited).fork();
  write();
  writer.join();
}

function writeText(writer: BinaryWriter, number: number, text: string): void {
  writer.tag(number, WireType.LengthDelimited).string(text);
}

function asObject(value: unknown): OpenApiObject {
  return typeof value === "object" && value !== null ? value as OpenApiObject : {};
}
