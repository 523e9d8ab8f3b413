/**
 * Field errors: validation collects every fault of an object and reports all at once
 * (apimachinery `pkg/util/validation/field/errors.go`).
 */

import { marshalJson, quoteText } from "./quote.ts";

/** The classes of fault, spelled as the `reason` of a Status cause. */
export type FieldErrorType =
  | "FieldValueRequired"
  | "FieldValueInvalid"
  | "FieldValueNotSupported"
  | "FieldValueDuplicate"
  | "FieldValueForbidden"
  | "FieldValueTooLong"
  | "FieldValueTooMany"
  | "FieldValueTypeInvalid"
  | "FieldValueNotFound"
  | "InternalError";

/** One fault: where, what class, and the text Kubernetes clients print (without the path). */
export interface FieldError {
  readonly type: FieldErrorType;
  /** Path in Go form, such as `spec.usages[0]`. */
  readonly field: string;
  /** Text after the path, such as `Required value`. */
  readonly message: string;
}

/** Required value. */
export function required(field: string, detail = ""): FieldError {
  return { type: "FieldValueRequired", field, message: withDetail("Required value", detail) };
}

/** Invalid value; the value prints as Go prints it: strings quoted, `null` for none, objects as JSON. */
export function invalid(field: string, value: unknown, detail: string): FieldError {
  return {
    type: "FieldValueInvalid",
    field,
    // Printed when it is read: a body can have so many faults, each with so large a value, that no memory holds them.
    get message() {
      return withDetail(`Invalid value: ${printValue(value)}`, detail);
    },
  };
}

/** Unsupported value; supported values are printed in the order given. */
export function notSupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  const list = supported.map((item) => printValue(item)).join(", ");
  const detail = supported.length === 0 ? "" : `supported values: ${list}`;
  return {
    type: "FieldValueNotSupported",
    field,
    message: withDetail(`Unsupported value: ${printValue(value)}`, detail),
  };
}

/** Duplicate value. */
export function duplicate(field: string, value: unknown): FieldError {
  return { type: "FieldValueDuplicate", field, message: `Duplicate value: ${printValue(value)}` };
}

/** Forbidden. */
export function forbidden(field: string, detail: string): FieldError {
  return { type: "FieldValueForbidden", field, message: withDetail("Forbidden", detail) };
}

/** A fault of the check itself. */
export function internal(field: string, detail: string): FieldError {
  return { type: "InternalError", field, message: withDetail("Internal error", detail) };
}

/** Too long, in bytes. */
export function tooLong(field: string, maxBytes: number): FieldError {
  return { type: "FieldValueTooLong", field, message: `Too long: may not be more than ${maxBytes} bytes` };
}

/** The form in which an error stands in a Status message: path, colon, text. */
export function formatFieldError(error: FieldError): string {
  return `${error.field}: ${error.message}`;
}

/** Characters of all faults in one answer; the first is told in full. */
const MAX_TOLD_CHARS = 1_048_576;

/** The faults that are told in one answer, from the first on, each once. */
export function toldErrors(errors: readonly FieldError[]): readonly FieldError[] {
  const told = new Map<string, FieldError>();
  let length = 0;
  for (const { type, field, message } of errors) {
    length += field.length + message.length;
    if (told.size > 0 && length > MAX_TOLD_CHARS) break;
    told.set(`${type} ${field} ${message}`, { type, field, message });
  }
  return [...told.values()];
}

/** Prints a value as the API machinery does in error texts: strings quoted as Go quotes, the rest as Go's JSON. */
export function printValue(value: unknown): string {
  return typeof value === "string" ? quoteText(value) : marshalJson(value);
}

function withDetail(text: string, detail: string): string {
  return detail === "" ? text : `${text}: ${detail}`;
}
