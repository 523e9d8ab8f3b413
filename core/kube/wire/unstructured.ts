/**
 * Finds the faults that prevent parsed JSON from becoming an object. Strategic merge patches and applied configurations
 * are converted in this way, with messages that differ from the decoder's (apimachinery `pkg/runtime/converter.go`).
 */
import {
  DecodeError,
  type ExactNumber,
  formatJsonNumber,
  getGoType,
  getJsonType,
  getMember,
  goJsonType,
  isJsonObject,
} from "../json_value.ts";
import type { FieldType, MessageSchema } from "../schema.ts";
import { elementGoType, getMessagePlan } from "./message_plan.ts";
import { canonicalBase64, canonicalMicroTime, canonicalQuantity, canonicalTime } from "./scalars.ts";

/** Finds the first fault in the order of the kind's fields, with Go's message. */
export function findUnstructuredFault(schema: MessageSchema, value: unknown): string | undefined {
  if (!isJsonObject(value)) return `cannot restore struct from: ${getGoKind(value)}`;
  for (const field of getMessagePlan(schema).fields) {
    const fault = findFault(field.type, field.goType, getMember(value, field.name));
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** Finds the first fault of a whole object; `kind` and `apiVersion` are checked before its fields. */
export function findObjectFault(schema: MessageSchema, value: unknown): string | undefined {
  if (isJsonObject(value)) {
    for (const name of ["kind", "apiVersion"]) {
      const fault = findFault({ kind: "string" }, "string", getMember(value, name));
      if (fault !== undefined) return fault;
    }
  }
  return findUnstructuredFault(schema, value);
}

function findFault(type: FieldType, goType: string, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  switch (type.kind) {
    case "message":
      return findUnstructuredFault(type, value);
    case "list":
      if (!Array.isArray(value)) return `cannot restore slice from ${getGoKind(value)}`;
      return firstFault(value, type.of, elementGoType(goType, type.of));
    case "map":
      if (!isJsonObject(value)) return `cannot restore map from ${getGoKind(value)}`;
      return firstFault(Object.values(value), type.of, elementGoType(goType, type.of));
    case "json":
      return undefined;
    case "bytes":
      return findBytesFault(value);
    case "time":
      return findTextFault(value, canonicalTime);
    case "microTime":
      return findTextFault(value, canonicalMicroTime);
    case "quantity":
      return findDecodeFault(() => canonicalQuantity(typeof value === "string" ? value : JSON.stringify(value)));
    case "intOrString":
      return typeof value === "string" ? undefined : findScalarFault("int32", "int32", value);
    default:
      return findScalarFault(type.kind, goType, value);
  }
}

function firstFault(values: readonly unknown[], of: FieldType, goType: string): string | undefined {
  for (const value of values) {
    const fault = findFault(of, goType, value);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function findScalarFault(
  kind: "string" | "bool" | "int32" | "int64",
  goType: string,
  value: unknown,
): string | undefined {
  if (kind === "string") {
    if (typeof value === "string") return undefined;
    // Go first treats whole numbers as convertible to text, and then refuses them.
    return getGoKind(value) === "int64" ? `cannot convert int64 to ${goType}` : "unrecognized type: string";
  }
  if (kind === "bool") return typeof value === "boolean" ? undefined : "unrecognized type: bool";
  if (getJsonType(value) !== "number") return `unrecognized type: ${kind}`;
  return Number.isInteger(Number(formatJsonNumber(value as number | ExactNumber)))
    ? undefined
    : `cannot convert float64 to ${goType}`;
}

function findBytesFault(value: unknown): string | undefined {
  if (Array.isArray(value)) return firstFault(value, { kind: "int32" }, "uint8");
  if (typeof value !== "string") return `cannot restore slice from ${getGoKind(value)}`;
  const fault = findDecodeFault(() => canonicalBase64(value));
  return fault === undefined ? undefined : `error decoding from json: ${fault}`;
}

/** Finds the fault of a time, which has its own decoder in Go. */
function findTextFault(value: unknown, read: (text: string) => unknown): string | undefined {
  if (typeof value === "string") return findDecodeFault(() => read(value));
  return `json: cannot unmarshal ${goJsonType(value)} into Go value of type string`;
}

function findDecodeFault(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof DecodeError) return error.message;
    throw error;
  }
}

function getGoKind(value: unknown): string {
  switch (getJsonType(value)) {
    case "array":
      return "slice";
    case "object":
    case "null":
      return "map";
    default:
      return getGoType(value);
  }
}
