/**
 * Field errors: validation collects every fault of an object and reports all at once
 * (apimachinery `pkg/util/validation/field/errors.go`).
 */

import { INT64_LIMIT } from "./int64.ts";
import { goQuote, marshalJson } from "./quote.ts";

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
  return fault("FieldValueRequired", field, () => withDetail("Required value", detail));
}

/** Invalid value; the value prints as Go prints it: strings quoted, `null` for none, objects as JSON. */
export function invalid(field: string, value: unknown, detail: string): FieldError {
  return fault("FieldValueInvalid", field, () => withDetail(`Invalid value: ${printValue(value)}`, detail));
}

/** Unsupported value; supported values are printed in the order given. */
export function notSupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  return unsupported(field, () => printValue(value), supported);
}

/** Unsupported value of a named string type in Go: those are printed as JSON (`field/errors.go`, ErrorBody). */
export function notSupportedName(field: string, value: string, supported: readonly string[]): FieldError {
  return unsupported(field, () => marshalJson(value), supported);
}

function unsupported(field: string, print: () => string, supported: readonly string[]): FieldError {
  return fault("FieldValueNotSupported", field, () => {
    const detail = supported.length === 0 ? "" : `supported values: ${supported.map(printValue).join(", ")}`;
    return withDetail(`Unsupported value: ${print()}`, detail);
  });
}

/** Duplicate value. */
export function duplicate(field: string, value: unknown, detail = ""): FieldError {
  return fault("FieldValueDuplicate", field, () => withDetail(`Duplicate value: ${printValue(value)}`, detail));
}

/** Forbidden. */
export function forbiddenField(field: string, detail: string): FieldError {
  return fault("FieldValueForbidden", field, () => withDetail("Forbidden", detail));
}

/** A fault of the check itself. */
export function internal(field: string, detail: string): FieldError {
  return fault("InternalError", field, () => withDetail("Internal error", detail));
}

/** Too long, in bytes. */
export function tooLong(field: string, maxBytes: number): FieldError {
  return fault("FieldValueTooLong", field, () => `Too long: may not be more than ${maxBytes} bytes`);
}

/** The text is printed when it is read: a body can have so many faults, each with so large a value, that no memory holds them. */
function fault(type: FieldErrorType, field: string, print: () => string): FieldError {
  return {
    type,
    field,
    get message() {
      return print();
    },
  };
}

/**
 * Faults of one list or map that are collected. No fault of an element has fewer than 21 characters, so that this many
 * fill an answer (`fitAnswer`).
 */
const MAX_COLLECTED = 50_000;

/** Collects the faults of each element of a list or a map, and stops once they fill an answer. */
export function checkEach<T>(
  elements: Iterable<T>,
  check: (element: T, index: number) => readonly FieldError[],
): FieldError[] {
  const errors: FieldError[] = [];
  let index = 0;
  for (const element of elements) {
    for (const error of check(element, index)) errors.push(error);
    if (errors.length >= MAX_COLLECTED) break;
    index++;
  }
  return errors;
}

/** The form in which an error stands in a Status message: path, colon, text. */
export function formatFieldError(error: FieldError): string {
  return `${error.field}: ${error.message}`;
}

/** Characters of all faults in one answer. kube-apiserver has no such limit: 3 MB of faults make a Status of hundreds. */
const MAX_ANSWER_CHARS = 1_048_576;

/** The faults that fit into one answer, from the first on, which is there in full. */
export function fitAnswer(errors: Iterable<FieldError>): readonly FieldError[] {
  const fitting: FieldError[] = [];
  let length = 0;
  for (const { type, field, message } of errors) {
    length += field.length + message.length;
    if (fitting.length > 0 && length > MAX_ANSWER_CHARS) break;
    fitting.push({ type, field, message });
  }
  return fitting;
}

/** The faults that are told in one answer, from the first on, each once. */
export function selectReportedErrors(errors: Iterable<FieldError>): readonly FieldError[] {
  const told = new Map<string, FieldError>();
  for (const error of fitAnswer(errors)) told.set(`${error.type} ${error.field} ${error.message}`, error);
  return [...told.values()];
}

/**
 * Prints a value as the API machinery does in error texts: strings quoted as Go quotes, the rest as Go's JSON. The
 * limits of what a number holds stand for those of an int64.
 */
export function printValue(value: unknown): string {
  if (typeof value === "number" && Math.abs(value) === INT64_LIMIT) return value < 0 ? MIN_INT64_TEXT : MAX_INT64_TEXT;
  return typeof value === "string" ? goQuote(value) : marshalJson(value);
}

const MIN_INT64_TEXT = String(-(2n ** 63n));
const MAX_INT64_TEXT = String(2n ** 63n - 1n);

function withDetail(text: string, detail: string): string {
  return detail === "" ? text : `${text}: ${detail}`;
}
