/** Rules of `metadata.managedFields` (apimachinery `pkg/apis/meta/v1/validation/validation.go`). */
import { checkEach, type FieldError, invalid, notSupportedName, required, tooLong } from "../field_error.ts";
import type { ManagedFieldsEntry } from "../meta.ts";
import { byteLength, isPrintable } from "../quote.ts";

/** Bytes of a field manager's name. */
export const FIELD_MANAGER_MAX_LENGTH = 128;
const SUBRESOURCE_MAX_LENGTH = 256;

/** Faults of what the managers own. */
export function validateManagedFields(entries: readonly ManagedFieldsEntry[], path: string): FieldError[] {
  return checkEach(entries, (entry, index) => {
    const at = `${path}[${index}]`;
    const { operation = "", fieldsType = "", manager = "", subresource = "" } = entry;
    const errors: FieldError[] = [];
    if (operation === "") errors.push(required(`${at}.operation`, "must not be empty"));
    else if (operation !== "Apply" && operation !== "Update") {
      errors.push(notSupportedName(`${at}.operation`, operation, ["Apply", "Update"]));
    }
    if (fieldsType !== "" && fieldsType !== "FieldsV1") {
      errors.push(invalid(`${at}.fieldsType`, fieldsType, "must be `FieldsV1`"));
    }
    errors.push(...validateFieldManager(manager, `${at}.manager`));
    if (byteLength(subresource) > SUBRESOURCE_MAX_LENGTH) {
      errors.push(tooLong(`${at}.subresource`, SUBRESOURCE_MAX_LENGTH));
    }
    return errors;
  });
}

/** Faults of a field manager's name: too long, or not printable; positions count bytes. */
export function validateFieldManager(manager: string, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (byteLength(manager) > FIELD_MANAGER_MAX_LENGTH) errors.push(tooLong(path, FIELD_MANAGER_MAX_LENGTH));
  let next = 0;
  const unprintable = checkEach(manager, (character) => {
    const position = next;
    next += byteLength(character);
    if (isPrintable(character)) return [];
    const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
    return [invalid(path, manager, `invalid character U+${code} (at position ${position})`)];
  });
  return [...errors, ...unprintable];
}
