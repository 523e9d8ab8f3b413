/** Decodes gnostic's protobuf to JSON, with the tables of the encoder. */
import { Buffer } from "node:buffer";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { parse } from "yaml";
import { GNOSTIC_V2 } from "../../../core/kube/openapi/v2.ts";
import { GNOSTIC_V3 } from "../../../core/kube/openapi/v3.ts";
import type { GnosticType } from "../../../core/kube/openapi/gnostic.ts";

/** Reads an OpenAPI document of either version; unknown fields are kept by number. */
export function readGnostic(bytes: Uint8Array): unknown {
  const isV3 = new TextDecoder().decode(bytes.subarray(2, 7)) === "3.0.0";
  return readMembers(new BinaryReader(bytes), isV3 ? GNOSTIC_V3 : GNOSTIC_V2);
}

type Message = Extract<GnosticType, { kind: "message" }>;

function readMembers(reader: BinaryReader, type: Message): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  const known = Object.entries(type.fields());
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === type.extensions) {
      const [name, value] = readNamed(inside(reader), { kind: "any" });
      out[name] = value;
      continue;
    }
    const found = known.find(([, [own]]) => own === number);
    if (found === undefined) {
      out[`field ${number}`] = Buffer.from(reader.skip(wireType)).toString("base64");
      continue;
    }
    const [name, [, of]] = found;
    if (of.kind === "each") out[name] = [...(out[name] as unknown[] ?? []), readValue(reader, of.of, wireType)];
    else out[name] = readValue(reader, of, wireType);
  }
  return out;
}

function readValue(reader: BinaryReader, type: GnosticType, wireType: WireType): unknown {
  switch (type.kind) {
    case "text":
      return reader.string();
    case "flag":
      return reader.bool();
    case "number":
      return reader.double();
    case "any": {
      const any = inside(reader);
      any.tag();
      return parse(any.string()) as unknown;
    }
    case "message":
      return readMembers(inside(reader), type);
    case "inside":
      return readInside(inside(reader), type);
    case "either": {
      const choice = inside(reader);
      if (choice.pos >= choice.len) return {};
      const [number, innerType] = choice.tag();
      return readValue(choice, type.choices.find((one) => one.number === number)!.of, innerType);
    }
    default:
      throw new Error(`${type.kind} is not the type of a field (wire type ${wireType})`);
  }
}

/** Reads a message with one field, which may be repeated. */
function readInside(reader: BinaryReader, { of }: Extract<GnosticType, { kind: "inside" }>): unknown {
  if (of.kind === "each") {
    const items: unknown[] = [];
    while (reader.pos < reader.len) items.push(readValue(reader, of.of, reader.tag()[1]));
    return items;
  }
  if (of.kind !== "named") return readValue(reader, of, reader.tag()[1]);
  const out: Record<string, unknown> = {};
  while (reader.pos < reader.len) {
    reader.tag();
    const [name, value] = readNamed(inside(reader), of.of);
    out[name] = value;
  }
  return out;
}

function readNamed(reader: BinaryReader, of: GnosticType): readonly [string, unknown] {
  reader.tag();
  const name = reader.string();
  return [name, readValue(reader, of, reader.tag()[1])];
}

function inside(reader: BinaryReader): BinaryReader {
  return new BinaryReader(reader.bytes());
}
