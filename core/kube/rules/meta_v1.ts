/**
 * The rules of the types that many kinds have: `metadata`, selectors and conditions (apimachinery
 * `pkg/api/validation/objectmeta.go`, `pkg/apis/meta/v1/validation/validation.go`).
 */
import { isEqualJson } from "../json_value.ts";
import {
  checkEach,
  duplicate,
  type FieldError,
  forbiddenField,
  invalid,
  notSupportedName,
  requiredField,
  tooLong,
} from "../status/field_error.ts";
import type {
  Condition,
  LabelSelector,
  ManagedFieldsEntry,
  ObjectMeta,
  OwnerReference,
  SelectorRequirement,
} from "../meta.ts";
import {
  conditionReasonErrors,
  labelNameErrors,
  labelValueErrors,
  type NameCheck,
  qualifiedNameErrors,
} from "../names.ts";
import { byteLength, isPrintable, printStringSlice } from "../../lib/go_text.ts";

/** The largest size of all annotations of an object, in bytes of their keys and values. */
const ANNOTATIONS_MAX_BYTES = 256 * 1024;

/** The properties of a kind on which the rules of its metadata depend. */
interface ObjectMetaRules {
  readonly namespaced: boolean;
  readonly validateName: NameCheck;
}

/** Finalizers that need no domain (`pkg/apis/core/helper`). */
const STANDARD_FINALIZERS: readonly string[] = ["kubernetes", "orphan", "foregroundDeletion"];

/** Validates an object's metadata. On creation, the name has been generated already. */
export function validateObjectMeta(meta: ObjectMeta, { namespaced, validateName }: ObjectMetaRules): FieldError[] {
  const { namespace = "", generation = 0 } = meta;
  const errors = validateObjectName(meta, validateName);
  if (!namespaced) {
    if (namespace !== "") errors.push(forbiddenField("metadata.namespace", "not allowed on this type"));
  } else if (namespace === "") errors.push(requiredField("metadata.namespace"));
  else errors.push(...labelNameErrors(namespace, false).map((text) => invalid("metadata.namespace", namespace, text)));

  return [
    ...errors,
    ...validateGeneration(generation),
    ...validateLabels(meta.labels ?? {}, "metadata.labels"),
    ...validateAnnotations(meta.annotations ?? {}),
    ...validateOwnerReferences(meta.ownerReferences ?? []),
    ...validateFinalizers(meta.finalizers ?? []),
    ...validateManagedFields(meta.managedFields ?? []),
  ];
}

/** Validates an object's name, and the prefix that it was generated from. */
export function validateObjectName(
  { name = "", generateName = "" }: ObjectMeta,
  validateName: NameCheck,
): FieldError[] {
  const errors: FieldError[] = [];
  if (generateName !== "") {
    errors.push(
      ...validateName(generateName, true).map((text) => invalid("metadata.generateName", generateName, text)),
    );
  }
  if (name === "") errors.push(requiredField("metadata.name", "name or generateName is required"));
  else errors.push(...validateName(name, false).map((text) => invalid("metadata.name", name, text)));
  return errors;
}

/** Validates changed metadata: some fields never change, and new finalizers cannot delay a deletion. */
export function validateObjectMetaUpdate(meta: ObjectMeta, old: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  if (old.deletionTimestamp !== undefined) {
    errors.push(...validateNoNewFinalizers(meta.finalizers ?? [], old.finalizers ?? []));
  }
  if ((meta.resourceVersion ?? "") === "") {
    errors.push(invalid("metadata.resourceVersion", "", "must be specified for an update"));
  }
  const generation = meta.generation ?? 0;
  errors.push(...validateGeneration(generation));
  if (generation < (old.generation ?? 0)) {
    errors.push(invalid("metadata.generation", generation, "must not be decremented"));
  }
  return [
    ...errors,
    ...validateImmutable(meta.name ?? "", old.name ?? "", "metadata.name"),
    ...validateImmutable(meta.namespace ?? "", old.namespace ?? "", "metadata.namespace"),
    ...validateImmutable(meta.uid ?? "", old.uid ?? "", "metadata.uid"),
    ...validateImmutable(meta.creationTimestamp, old.creationTimestamp, "metadata.creationTimestamp"),
    ...validateImmutable(meta.deletionTimestamp, old.deletionTimestamp, "metadata.deletionTimestamp"),
    ...validateImmutable(
      meta.deletionGracePeriodSeconds,
      old.deletionGracePeriodSeconds,
      "metadata.deletionGracePeriodSeconds",
    ),
    ...validateLabels(meta.labels ?? {}, "metadata.labels"),
    ...validateAnnotations(meta.annotations ?? {}),
    ...validateOwnerReferences(meta.ownerReferences ?? []),
    ...validateManagedFields(meta.managedFields ?? []),
  ];
}

/**
 * Validates finalizers as most kinds do in addition to the rules for every object: only Kubernetes' own finalizers have
 * no domain (`pkg/apis/core/validation`, ValidateObjectMeta).
 */
export function validateStandardFinalizers({ finalizers = [] }: ObjectMeta): FieldError[] {
  return checkEach(finalizers, (name, index) => validateStandardFinalizer(name, `metadata.finalizers[${index}]`));
}

/** Validates a finalizer, which is Kubernetes' own or has a domain. */
export function validateStandardFinalizer(name: string, path: string): FieldError[] {
  if (name.includes("/") || STANDARD_FINALIZERS.includes(name)) return [];
  return [invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified")];
}

/** Validates labels: keys are qualified names, values are label values. */
function validateLabels(labels: Readonly<Record<string, string>>, path: string): FieldError[] {
  // For a map with many keys, Object.entries is several times slower than Object.keys in V8.
  return checkEach(Object.keys(labels), (key) => [
    ...validateLabelName(key, path),
    ...labelValueErrors(labels[key]!).map((text) => invalid(path, labels[key], text)),
  ]);
}

/** Validates the key of a label. */
export function validateLabelName(name: string, path: string): FieldError[] {
  return qualifiedNameErrors(name).map((text) => invalid(path, name, text));
}

/** Reports a value that must not change and has changed; objects are equal if their JSON is. */
export function validateImmutable(value: unknown, old: unknown, path: string): FieldError[] {
  return isEqualJson(value, old) ? [] : [invalid(path, value, "field is immutable")];
}

function validateGeneration(generation: number): FieldError[] {
  return generation < 0 ? [invalid("metadata.generation", generation, "must be greater than or equal to 0")] : [];
}

/** Validates annotations, whose keys are qualified names in upper or lower case. */
function validateAnnotations(annotations: Readonly<Record<string, string>>): FieldError[] {
  const path = "metadata.annotations";
  const errors = checkEach(
    Object.keys(annotations),
    (key) => qualifiedNameErrors(key.toLowerCase()).map((text) => invalid(path, key, text)),
  );
  return [...errors, ...validateAnnotationsSize(annotations, path)];
}

/** Validates the size of annotations, or of another map with the same limit. */
export function validateAnnotationsSize(annotations: Readonly<Record<string, string>>, path: string): FieldError[] {
  return areAnnotationsTooLarge(annotations) ? [tooLong(path, ANNOTATIONS_MAX_BYTES)] : [];
}

/** Reports whether annotations are too large. In a configuration, a value may be null. */
export function areAnnotationsTooLarge(annotations: Readonly<Record<string, unknown>>): boolean {
  let size = 0;
  for (const key of Object.keys(annotations)) size += byteLength(key) + byteLength(String(annotations[key]));
  return size > ANNOTATIONS_MAX_BYTES;
}

function validateOwnerReferences(references: readonly OwnerReference[]): FieldError[] {
  const path = "metadata.ownerReferences";
  let controller: string | undefined;
  return checkEach(references, (reference, index) => {
    const errors = validateOwnerReference(reference, `${path}[${index}]`);
    if (reference.controller !== true) return errors;
    const found = `${reference.kind}/${reference.name}`;
    if (controller === undefined) controller = found;
    else {
      const detail = 'Only one reference can have Controller set to true. Found "true" in references for ' +
        `${controller} and ${found}`;
      errors.push(invalid(path, references, detail));
    }
    return errors;
  });
}

function validateOwnerReference(reference: OwnerReference, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const { apiVersion, kind, name, uid } = reference;
  if (apiVersion === "") errors.push(requiredField(`${path}.apiVersion`, "must not be empty"));
  else if (!isGroupVersion(apiVersion)) {
    errors.push(invalid(`${path}.apiVersion`, apiVersion, "must be <group>/<version> or <version>"));
  }
  for (const [field, value] of [["kind", kind], ["name", name], ["uid", uid]] as const) {
    if (value === "") errors.push(requiredField(`${path}.${field}`, "must not be empty"));
  }
  if ((apiVersion === "v1" || apiVersion === "/v1") && kind === "Event") {
    errors.push(invalid(path, reference, "/v1, Kind=Event is disallowed from being an owner"));
  }
  return errors;
}

/** Reports whether text is `v1` or `group/v1`: it has at most one slash, and a version at the end. */
function isGroupVersion(text: string): boolean {
  const parts = text.split("/");
  return parts.length <= 2 && parts.at(-1) !== "";
}

function validateFinalizers(finalizers: readonly string[]): FieldError[] {
  const path = "metadata.finalizers";
  const errors = checkEach(finalizers, (name) => qualifiedNameErrors(name).map((text) => invalid(path, name, text)));
  if (finalizers.includes("orphan") && finalizers.includes("foregroundDeletion")) {
    errors.push(invalid(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set"));
  }
  return errors;
}

function validateNoNewFinalizers(finalizers: readonly string[], old: readonly string[]): FieldError[] {
  const known = new Set(old);
  const extra = [...new Set(finalizers)].filter((name) => !known.has(name)).sort();
  if (extra.length === 0) return [];
  const detail = "no new finalizers can be added if the object is being deleted, found new finalizers " +
    printStringSlice(extra);
  return [forbiddenField("metadata.finalizers", detail)];
}

/** The largest number of bytes in a field manager's name. */
export const FIELD_MANAGER_MAX_LENGTH = 128;
const SUBRESOURCE_MAX_LENGTH = 256;

function validateManagedFields(entries: readonly ManagedFieldsEntry[]): FieldError[] {
  return checkEach(entries, (entry, index) => {
    const at = `metadata.managedFields[${index}]`;
    const { operation = "", fieldsType = "", manager = "", subresource = "" } = entry;
    const errors: FieldError[] = [];
    if (operation === "") errors.push(requiredField(`${at}.operation`, "must not be empty"));
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

/** Validates a field manager's name: its length and that it is printable. Positions count bytes. */
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
