/**
 * The rules of request options (apimachinery `pkg/apis/meta/v1/validation`, `pkg/apis/meta/internalversion/validation`).
 */
import {
  type FieldError,
  forbiddenField,
  invalid,
  notSupported,
  notSupportedName,
  requiredField,
} from "../status/field_error.ts";
import type { DeleteOptions } from "../meta.ts";
import { validateFieldManager } from "./meta_v1.ts";

/** Query options of a creation or an update. */
export interface UpdateOptions {
  readonly dryRun?: readonly string[];
  readonly fieldManager?: string;
  readonly fieldValidation?: string;
}

/** Query options of a patch. */
export interface PatchOptions extends UpdateOptions {
  readonly force?: boolean;
}

/** Query options of a list or a watch. */
export interface ListOptions {
  readonly watch?: boolean;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: string;
  readonly continue?: string;
  readonly limit?: number;
  readonly allowWatchBookmarks?: boolean;
  readonly sendInitialEvents?: boolean;
}

/** The option that deletes an object which the store cannot read. */
export const UNSAFE_DELETE = "ignoreStoreReadErrorWithClusterBreakingPotential";

/** Validates the options of a creation or an update. */
export function validateUpdateOptions(options: UpdateOptions): FieldError[] {
  return [
    ...validateFieldManager(options.fieldManager ?? "", "fieldManager"),
    ...validateDryRun(options.dryRun ?? []),
    ...validateFieldValidation(options.fieldValidation ?? ""),
  ];
}

/** Validates the options of a patch: apply requires a manager, and only apply may force. */
export function validatePatchOptions(options: PatchOptions, apply: boolean): FieldError[] {
  const errors: FieldError[] = [];
  if (apply) {
    if ((options.fieldManager ?? "") === "") errors.push(requiredField("fieldManager", "is required for apply patch"));
  } else if (options.force !== undefined) {
    errors.push(forbiddenField("force", "may not be specified for non-apply patch"));
  }
  return [...errors, ...validateUpdateOptions(options)];
}

/** Validates the options that delete one object or a collection. */
export function validateDeleteOptions(options: DeleteOptions, ofCollection = false): FieldError[] {
  const { propagationPolicy, orphanDependents } = options;
  const errors: FieldError[] = [];
  if (orphanDependents !== undefined && propagationPolicy !== undefined) {
    const detail = "orphanDependents and deletionPropagation cannot be both set";
    errors.push(invalid("propagationPolicy", propagationPolicy, detail));
  }
  if (propagationPolicy !== undefined && !PROPAGATION_POLICIES.includes(propagationPolicy)) {
    errors.push(notSupportedName("propagationPolicy", propagationPolicy, [...PROPAGATION_POLICIES, "nil"]));
  }
  errors.push(...validateDryRun(options.dryRun ?? []));
  errors.push(...validateUnsafeDelete(options));
  if (errors.length === 0 && ofCollection && options[UNSAFE_DELETE] === true) {
    errors.push(
      invalid(UNSAFE_DELETE, true, "is not allowed with DELETECOLLECTION, try again after removing the option"),
    );
  }
  return errors;
}

/** Validates the options of a list or a watch; the server supports streaming lists. */
export function validateListOptions(options: ListOptions): FieldError[] {
  if (options.watch === true) return validateWatchOptions(options);
  const { resourceVersion = "", resourceVersionMatch: match = "" } = options;
  const errors: FieldError[] = [];
  if (match !== "") {
    if (resourceVersion === "") {
      errors.push(forbiddenField(MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
    }
    if ((options.continue ?? "") !== "") {
      errors.push(forbiddenField(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
    }
    if (match !== "Exact" && match !== "NotOlderThan") {
      errors.push(notSupportedName(MATCH, match, ["Exact", "NotOlderThan", ""]));
    }
    if (match === "Exact" && resourceVersion === "0") {
      errors.push(forbiddenField(MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
    }
  }
  if (options.sendInitialEvents !== undefined) {
    errors.push(forbiddenField("sendInitialEvents", "sendInitialEvents is forbidden for list"));
  }
  return errors;
}

const MATCH = "resourceVersionMatch";
const PROPAGATION_POLICIES: readonly string[] = ["Foreground", "Background", "Orphan"];
const FIELD_VALIDATIONS: readonly string[] = ["", "Ignore", "Strict", "Warn"];

function validateWatchOptions(options: ListOptions): FieldError[] {
  const { sendInitialEvents, resourceVersionMatch: match = "" } = options;
  const errors: FieldError[] = [];
  if (sendInitialEvents !== undefined && match !== "NotOlderThan") {
    errors.push(forbiddenField(MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
  }
  if (match === "") return errors;
  if (sendInitialEvents === undefined) {
    const detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
    errors.push(forbiddenField(MATCH, detail));
  }
  if (match !== "NotOlderThan") errors.push(notSupportedName(MATCH, match, ["NotOlderThan"]));
  if ((options.continue ?? "") !== "") {
    errors.push(forbiddenField(MATCH, "resourceVersionMatch is forbidden when continue is provided"));
  }
  return errors;
}

function validateDryRun(values: readonly string[]): FieldError[] {
  return values.every((value) => value === "All") ? [] : [notSupported("dryRun", values, ["All"])];
}

function validateFieldValidation(value: string): FieldError[] {
  return FIELD_VALIDATIONS.includes(value) ? [] : [notSupported("fieldValidation", value, FIELD_VALIDATIONS)];
}

/** Validates that the deletion of an unreadable object has no other options; it cannot be graceful. */
function validateUnsafeDelete(options: DeleteOptions): FieldError[] {
  if (options[UNSAFE_DELETE] !== true) return [];
  const others = ["propagationPolicy", "orphanDependents", "gracePeriodSeconds", "preconditions"] as const;
  return others.filter((name) => options[name] !== undefined)
    .map((name) => invalid(UNSAFE_DELETE, true, `cannot be set together with .${name}`));
}
