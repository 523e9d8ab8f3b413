/** The rules of conditions (apimachinery `pkg/apis/meta/v1/validation/validation.go`, ValidateConditions). */
import {
  checkEach,
  duplicate,
  type FieldError,
  invalid,
  notSupportedName,
  requiredField,
  tooLong,
} from "../status/field_error.ts";
import type { Condition } from "../meta.ts";
import { conditionReasonErrors, qualifiedNameErrors } from "../names.ts";
import { byteLength } from "../../lib/quote.ts";

const STATUSES: readonly string[] = ["False", "True", "Unknown"];
const REASON_MAX_BYTES = 1_024;
const MESSAGE_MAX_BYTES = 32_768;

/** Validates a list of conditions, of which no two have the same type. */
export function validateConditions(conditions: readonly Condition[], path: string): FieldError[] {
  const seen = new Set<string>();
  return checkEach(conditions, (condition, index) => {
    const place = `${path}[${index}]`;
    const isRepeated = seen.has(condition.type);
    seen.add(condition.type);
    return [...(isRepeated ? [duplicate(place, condition.type)] : []), ...validateCondition(condition, place)];
  });
}

function validateCondition(condition: Condition, path: string): FieldError[] {
  const { type, status, observedGeneration = 0, lastTransitionTime, reason, message } = condition;
  const errors: FieldError[] = type === ""
    ? [requiredField(`${path}.type`, "is required")]
    : qualifiedNameErrors(type).map((text) => invalid(`${path}.type`, type, text));
  if (status === "") errors.push(requiredField(`${path}.status`));
  else if (!STATUSES.includes(status)) errors.push(notSupportedName(`${path}.status`, status, STATUSES));
  if (observedGeneration < 0) {
    const detail = "must be greater than or equal to zero";
    errors.push(invalid(`${path}.observedGeneration`, observedGeneration, detail));
  }
  if (lastTransitionTime === null) errors.push(requiredField(`${path}.lastTransitionTime`));
  if (reason === "") errors.push(requiredField(`${path}.reason`));
  else {
    errors.push(...conditionReasonErrors(reason).map((text) => invalid(`${path}.reason`, reason, text)));
    if (byteLength(reason) > REASON_MAX_BYTES) errors.push(tooLong(`${path}.reason`, REASON_MAX_BYTES));
  }
  if (byteLength(message) > MESSAGE_MAX_BYTES) errors.push(tooLong(`${path}.message`, MESSAGE_MAX_BYTES));
  return errors;
}
