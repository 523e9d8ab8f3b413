/** What a codec throws for bytes it cannot read; the texts are those Kubernetes clients see. */
import { ExactNumber } from "../json_value.ts";
import { AppError } from "../../errors.ts";

/** A well-formed document that is not the object asked for, or a broken protobuf body; code `invalid`. */
export class DecodeError extends AppError {
  constructor(message: string, cause?: unknown) {
    super("invalid", message, cause === undefined ? {} : { cause });
  }
}

/** Text that is not JSON, or not YAML; code `invalid`. */
export class JsonSyntaxError extends AppError {
  constructor(message: string, cause?: unknown) {
    super("invalid", message, cause === undefined ? {} : { cause });
  }
}

/** What Go calls a JSON value in its errors. */
export function goJsonType(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "boolean") return "bool";
  return value instanceof ExactNumber ? "number" : typeof value;
}
