/**
 * Field errors: validation collects every fault of an object and reports all at once
 * (apimachinery `pkg/util/validation/field/errors.go`).
 */
import { goQuote, INT64_LIMIT, marshalJson, MAX_INT64, MIN_INT64 } from "../../lib/go_text.ts";

/** The classes of faults, spelled like the `reason` of a Status cause. */
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

/** One fault: its place, its class, and the text that Kubernetes clients print. */
export interface FieldError {
  readonly type: FieldErrorType;
  /** Path in Go form, such as `spec.usages[0]`. */
  readonly field: string;
  /** Text after the path, such as `Required value`. */
  readonly message: string;
}

export function requiredField(field: string, detail = ""): FieldError {
  return fault("FieldValueRequired", field, () => withDetail("Required value", detail));
}

/** Creates the error of an invalid value. It is printed as Go prints it: strings quoted, objects as JSON. */
export function invalid(field: string, value: unknown, detail: string): FieldError {
  return fault("FieldValueInvalid", field, () => withDetail(`Invalid value: ${printValue(value)}`, detail));
}

/** Creates the error of an invalid value whose Go type is a named string type: Go prints those as JSON. */
export function invalidName(field: string, value: string, detail: string): FieldError {
  return fault("FieldValueInvalid", field, () => withDetail(`Invalid value: ${marshalJson(value)}`, detail));
}

/** Creates the error of an invalid value that is not printed (`OmitValueType`). */
export function invalidOmitted(field: string, detail: string): FieldError {
  return fault("FieldValueInvalid", field, () => withDetail("Invalid value", detail));
}

/** Creates the error of an unsupported value; the supported ones are printed in the order given. */
export function notSupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  return unsupported(field, () => printValue(value), supported);
}

/**
 * Creates the error of an unsupported value whose Go type is a named string type: Go prints those as JSON
 * (`field/errors.go`, ErrorBody).
 */
export function notSupportedName(field: string, value: string, supported: readonly string[]): FieldError {
  return unsupported(field, () => marshalJson(value), supported);
}

function unsupported(field: string, print: () => string, supported: readonly string[]): FieldError {
  return fault("FieldValueNotSupported", field, () => {
    const detail = supported.length === 0 ? "" : `supported values: ${supported.map(printValue).join(", ")}`;
    return withDetail(`Unsupported value: ${print()}`, detail);
  });
}

export function duplicate(field: string, value: unknown, detail = ""): FieldError {
  return fault("FieldValueDuplicate", field, () => withDetail(`Duplicate value: ${printValue(value)}`, detail));
}

export function forbiddenField(field: string, detail: string): FieldError {
  return fault("FieldValueForbidden", field, () => withDetail("Forbidden", detail));
}

/** Creates the error of a check that could not be carried out. */
export function internal(field: string, detail: string): FieldError {
  return fault("InternalError", field, () => withDetail("Internal error", detail));
}

/** Creates the error of a value that is longer than `maxBytes` bytes. */
export function tooLong(field: string, maxBytes: number): FieldError {
  return fault("FieldValueTooLong", field, () => `Too long: may not be more than ${maxBytes} bytes`);
}

/**
 * Creates an error whose text is printed when it is read: a body can have so many faults, with such large values, that
 * their texts together would not fit into memory.
 */
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
 * The largest number of faults that are collected for one list or map. kube-apiserver collects all of them: 99,000 bad
 * keys of annotations take it 20 seconds, and more than a second here. No reader needs more.
 */
export const MAX_COLLECTED = 500;

/** Collects the faults of each element of a list or a map, and stops after `MAX_COLLECTED`. */
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

/** Formats an error as Status messages show it: path, colon, text. */
export function formatFieldError(error: FieldError): string {
  return `${error.field}: ${error.message}`;
}

/**
 * The largest number of characters of all faults in one answer. kube-apiserver has no such limit: there, a body of 3 MB
 * can cause a Status of hundreds of megabytes.
 */
const MAX_ANSWER_CHARS = 1_048_576;

/** Selects the faults that fit into one answer. The first one is always included in full. */
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

/** Selects the faults that one answer reports, each of them once. */
export function selectReportedErrors(errors: Iterable<FieldError>): readonly FieldError[] {
  const reported = new Map<string, FieldError>();
  for (const error of fitAnswer(errors)) reported.set(`${error.type} ${error.field} ${error.message}`, error);
  return [...reported.values()];
}

/**
 * Prints a value as the API machinery does in error messages: strings quoted as Go quotes them, the rest as Go's JSON.
 * The largest and smallest integers of a JavaScript number are printed as the limits of an int64.
 */
export function printValue(value: unknown): string {
  if (typeof value === "number" && Math.abs(value) === INT64_LIMIT) return String(value < 0 ? MIN_INT64 : MAX_INT64);
  return typeof value === "string" ? goQuote(value) : marshalJson(value);
}

function withDetail(text: string, detail: string): string {
  return detail === "" ? text : `${text}: ${detail}`;
}
