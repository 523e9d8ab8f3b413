/** The rules of access reviews (`pkg/apis/authorization/validation/validation.go`). */
import type {
  NonResourceAttributesSpec,
  SelectorAttributes,
  SubjectAccessReview,
  SubjectAccessReviewSpec,
} from "../kinds/authorization_v1.ts";
import { byteLength } from "../../lib/quote.ts";
import { checkEach, type FieldError, invalid, requiredField, tooLong } from "../status/field_error.ts";
import type { ObjectMeta, SelectorRequirement } from "../meta.ts";
import { validateFieldRequirement, validateLabelRequirement } from "./selectors.ts";

/**
 * The largest selector of a review as text: as large as one in a query may be, so that a review can be asked about every
 * request that is served. kube-apiserver has no limit of its own here.
 */
export const MAX_RAW_SELECTOR_BYTES = 65_536;

/** Validates a SubjectAccessReview, which must name a user or a group. */
export function validateSubjectAccessReview(review: SubjectAccessReview): FieldError[] {
  return [
    ...validateSpec(review.spec, true),
    ...validateEmptyMeta(review.metadata, ["managedFields"], "must be empty"),
  ];
}

/** Validates a SelfSubjectAccessReview, whose user is the caller. */
export function validateSelfSubjectAccessReview(review: SubjectAccessReview): FieldError[] {
  return [
    ...validateSpec(review.spec, false),
    ...validateEmptyMeta(review.metadata, ["managedFields"], "must be empty"),
  ];
}

/** Validates a LocalSubjectAccessReview; `metadata.namespace` is that of the request. */
export function validateLocalSubjectAccessReview(review: SubjectAccessReview): FieldError[] {
  const { resourceAttributes, nonResourceAttributes } = review.spec;
  const errors = [
    ...validateSpec(review.spec, true),
    ...validateEmptyMeta(review.metadata, ["managedFields", "namespace"], "must be empty except for namespace"),
  ];
  const namespace = resourceAttributes?.namespace ?? "";
  if (resourceAttributes !== undefined && namespace !== (review.metadata.namespace ?? "")) {
    errors.push(invalid("spec.resourceAttributes.namespace", namespace, "must match metadata.namespace"));
  }
  if (nonResourceAttributes !== undefined) {
    const value = internalAttributes(nonResourceAttributes);
    errors.push(invalid("spec.nonResourceAttributes", value, "disallowed on this kind of request"));
  }
  return errors;
}

function validateSpec(spec: SubjectAccessReviewSpec, needsSubject: boolean): FieldError[] {
  const { resourceAttributes, nonResourceAttributes } = spec;
  const errors: FieldError[] = [];
  if ((resourceAttributes === undefined) === (nonResourceAttributes === undefined)) {
    const detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
    errors.push(invalid("spec", internalAttributes(nonResourceAttributes), detail));
  }
  if (needsSubject && (spec.user ?? "") === "" && (spec.groups ?? []).length === 0) {
    errors.push(invalid("spec.user", "", "at least one of user or group must be specified"));
  }
  const path = "spec.resourceAttributes";
  return [
    ...errors,
    ...validateSelector(resourceAttributes?.fieldSelector, `${path}.fieldSelector`, validateFieldRequirement),
    ...validateSelector(
      resourceAttributes?.labelSelector,
      `${path}.labelSelector`,
      (requirement, at) => validateLabelRequirement(requirement, true, at),
    ),
  ];
}

function validateSelector(
  selector: SelectorAttributes | undefined,
  path: string,
  validateRequirement: (requirement: SelectorRequirement, path: string) => FieldError[],
): FieldError[] {
  if (selector === undefined) return [];
  const { rawSelector = "", requirements = [] } = selector;
  const errors: FieldError[] = [];
  if (rawSelector !== "" && requirements.length > 0) {
    errors.push(invalid(`${path}.rawSelector`, rawSelector, "may not specified at the same time as requirements"));
  }
  if (byteLength(rawSelector) > MAX_RAW_SELECTOR_BYTES) {
    errors.push(tooLong(`${path}.rawSelector`, MAX_RAW_SELECTOR_BYTES));
  }
  if (rawSelector === "" && requirements.length === 0) {
    const detail = `when ${path} is specified, requirements or rawSelector is required`;
    errors.push(requiredField(`${path}.requirements`, detail));
  }
  const ofRequirements = checkEach(
    requirements,
    (requirement, index) => validateRequirement(requirement, `${path}.requirements[${index}]`),
  );
  return [...errors, ...ofRequirements];
}

function validateEmptyMeta(meta: ObjectMeta, ignored: readonly (keyof ObjectMeta)[], detail: string): FieldError[] {
  const keys = Object.keys(meta) as (keyof ObjectMeta)[];
  const isEmpty = keys.every((key) => meta[key] === undefined || ignored.includes(key));
  return isEmpty ? [] : [invalid("metadata", meta, detail)];
}

/** Names the fields as Go's internal type does, which the error prints. */
function internalAttributes(attributes: NonResourceAttributesSpec | undefined): unknown {
  return attributes === undefined ? null : { Path: attributes.path ?? "", Verb: attributes.verb ?? "" };
}
