/** The rules of selectors inside objects (apimachinery `pkg/apis/meta/v1/validation/validation.go`). */
import { checkEach, type FieldError, forbiddenField, invalid, requiredField } from "../status/field_error.ts";
import { labelValueErrors } from "../names.ts";
import type { LabelSelector, SelectorRequirement } from "../meta.ts";
import { validateLabelName, validateLabels } from "./object_meta.ts";

/** Validates a LabelSelector and each of its requirements. */
export function validateLabelSelector(selector: LabelSelector, path: string): FieldError[] {
  return [
    ...validateLabels(selector.matchLabels ?? {}, `${path}.matchLabels`),
    ...checkEach(
      selector.matchExpressions ?? [],
      (requirement, index) => validateLabelRequirement(requirement, false, `${path}.matchExpressions[${index}]`),
    ),
  ];
}

/** Validates a requirement on a label; reviews accept operators that only newer servers know. */
export function validateLabelRequirement(
  requirement: SelectorRequirement,
  allowUnknownOperator: boolean,
  path: string,
): FieldError[] {
  return [
    ...validateOperator(requirement, allowUnknownOperator, path),
    ...validateLabelName(requirement.key, `${path}.key`),
    ...checkEach(
      requirement.values ?? [],
      (value, index) => labelValueErrors(value).map((text) => invalid(`${path}.values[${index}]`, value, text)),
    ),
  ];
}

/** Validates a requirement on a field, with any operator. */
export function validateFieldRequirement(requirement: SelectorRequirement, path: string): FieldError[] {
  const errors = requirement.key === "" ? [requiredField(`${path}.key`, "must be specified")] : [];
  return [...errors, ...validateOperator(requirement, true, path)];
}

function validateOperator(requirement: SelectorRequirement, allowUnknown: boolean, path: string): FieldError[] {
  const { operator, values = [] } = requirement;
  switch (operator) {
    case "In":
    case "NotIn":
      return values.length > 0
        ? []
        : [requiredField(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'")];
    case "Exists":
    case "DoesNotExist":
      return values.length === 0
        ? []
        : [forbiddenField(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")];
    default:
      return allowUnknown ? [] : [invalid(`${path}.operator`, operator, "not a valid selector operator")];
  }
}
