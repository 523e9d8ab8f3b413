/**
 * The rules of roles and their bindings (`pkg/apis/rbac/validation/validation.go`, `pkg/apis/rbac/v1/defaults.go`). Missing
 * verbs and names are reported last, because kube-apiserver finds them in generated code (`zz_generated.validations.go`).
 */
import { checkEach, type FieldError, invalid, notSupported, requiredField } from "../status/field_error.ts";
import { pathSegmentNameErrors, subdomainNameErrors } from "../names.ts";
import {
  type ClusterRole,
  type ClusterRoleBinding,
  type PolicyRule,
  RBAC_GROUP,
  type Role,
  type RoleBinding,
  type RoleRef,
  type Subject,
} from "../kinds/rbac_v1.ts";
import { selectorFromLabelSelector } from "../selectors.ts";
import { validateLabelSelector } from "./meta_v1.ts";

/** Validates a new or a changed Role apart from its metadata. */
export function validateRole(role: Role): FieldError[] {
  return [
    ...checkEach(role.rules ?? [], (rule, index) => validateRule(rule, true, `rules[${index}]`)),
    ...requireVerbs(role),
  ];
}

/** Validates a new or a changed ClusterRole apart from its metadata. */
export function validateClusterRole(role: ClusterRole): FieldError[] {
  return [
    ...checkEach(role.rules ?? [], (rule, index) => validateRule(rule, false, `rules[${index}]`)),
    ...validateAggregation(role),
    ...requireVerbs(role),
  ];
}

/** Fills the API groups of the role and of users and groups. */
export function defaultBinding<T extends RoleBinding | ClusterRoleBinding>(binding: T): T {
  const { roleRef, subjects } = binding;
  return {
    ...binding,
    ...(subjects === undefined ? {} : { subjects: subjects.map(defaultSubject) }),
    roleRef: { ...roleRef, apiGroup: roleRef.apiGroup === "" ? RBAC_GROUP : roleRef.apiGroup },
  };
}

/** Validates a new binding apart from its metadata. A RoleBinding is `namespaced`. */
export function validateBindingCreate(binding: RoleBinding | ClusterRoleBinding, namespaced: boolean): FieldError[] {
  return [...validateBinding(binding, namespaced), ...requireSubjectNames(binding), ...requireRoleName(binding)];
}

function validateRule(rule: PolicyRule, namespaced: boolean, path: string): FieldError[] {
  const { apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  const errors: FieldError[] = [];
  if (nonResourceURLs.length > 0) {
    const field = `${path}.nonResourceURLs`;
    if (namespaced) {
      errors.push(invalid(field, nonResourceURLs, "namespaced rules cannot apply to non-resource URLs"));
    }
    if (apiGroups.length + resources.length + resourceNames.length > 0) {
      const detail = "rules cannot apply to both regular resources and non-resource URLs";
      errors.push(invalid(field, nonResourceURLs, detail));
    }
    return errors;
  }
  if (apiGroups.length === 0) {
    errors.push(requiredField(`${path}.apiGroups`, "resource rules must supply at least one api group"));
  }
  if (resources.length === 0) {
    errors.push(requiredField(`${path}.resources`, "resource rules must supply at least one resource"));
  }
  return errors;
}

function requireVerbs(role: Role | ClusterRole): FieldError[] {
  return checkEach(
    role.rules ?? [],
    ({ verbs }, index) => (verbs ?? []).length === 0 ? [requiredField(`rules[${index}].verbs`)] : [],
  );
}

function validateAggregation({ aggregationRule }: ClusterRole): FieldError[] {
  if (aggregationRule === undefined) return [];
  const path = "aggregationRule.clusterRoleSelectors";
  const selectors = aggregationRule.clusterRoleSelectors ?? [];
  if (selectors.length === 0) {
    return [requiredField(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")];
  }
  return checkEach(selectors, (selector, index) => {
    const at = `${path}[${index}]`;
    const errors = validateLabelSelector(selector, at);
    // The error has no value, because there is no valid selector to print.
    const fault = selectorFromLabelSelector(selector).ok ? [] : [invalid(at, null, "invalid label selector.")];
    return [...errors, ...fault];
  });
}

function defaultSubject(subject: Subject): Subject {
  if ((subject.apiGroup ?? "") !== "" || (subject.kind !== "User" && subject.kind !== "Group")) return subject;
  const { kind, apiGroup: _empty, ...rest } = subject;
  return { kind, apiGroup: RBAC_GROUP, ...rest };
}

function validateBinding(binding: RoleBinding | ClusterRoleBinding, namespaced: boolean): FieldError[] {
  const { apiGroup, kind, name } = binding.roleRef;
  const errors: FieldError[] = [];
  if (apiGroup !== RBAC_GROUP) errors.push(notSupported("roleRef.apiGroup", apiGroup, [RBAC_GROUP]));
  const kinds = namespaced ? ["Role", "ClusterRole"] : ["ClusterRole"];
  if (!kinds.includes(kind)) errors.push(notSupported("roleRef.kind", kind, kinds));
  errors.push(...pathSegmentNameErrors(name).map((text) => invalid("roleRef.name", name, text)));
  const ofSubjects = checkEach(
    binding.subjects ?? [],
    (subject, index) => validateSubject(subject, namespaced, `subjects[${index}]`),
  );
  return [...errors, ...ofSubjects];
}

/**
 * Validates a changed binding apart from its metadata. A changed role is refused as a whole; a missing name is one of its
 * other faults.
 */
export function validateBindingUpdate(
  binding: RoleBinding | ClusterRoleBinding,
  old: RoleBinding | ClusterRoleBinding,
  namespaced: boolean,
): FieldError[] {
  const errors = validateBinding(binding, namespaced);
  if (isSameRole(binding.roleRef, old.roleRef)) return [...errors, ...requireSubjectNames(binding)];
  const ofRole = errors.filter(({ field }) => field.startsWith("roleRef."));
  const ofSubjects = errors.slice(ofRole.length);
  const { apiGroup, kind, name } = binding.roleRef;
  // The value prints with the names of Go's internal type.
  const changed = invalid("roleRef", { APIGroup: apiGroup, Kind: kind, Name: name }, "field is immutable");
  return [...ofRole, ...requireRoleName(binding), ...ofSubjects, changed, ...requireSubjectNames(binding)];
}

function requireRoleName({ roleRef }: RoleBinding | ClusterRoleBinding): FieldError[] {
  return roleRef.name === "" ? [requiredField("roleRef.name")] : [];
}

function requireSubjectNames({ subjects }: RoleBinding | ClusterRoleBinding): FieldError[] {
  return checkEach(subjects ?? [], ({ name }, index) => name === "" ? [requiredField(`subjects[${index}].name`)] : []);
}

function validateSubject(subject: Subject, namespaced: boolean, path: string): FieldError[] {
  const { kind, apiGroup = "", name, namespace = "" } = subject;
  const errors: FieldError[] = [];
  switch (kind) {
    case "ServiceAccount":
      if (name !== "") {
        errors.push(...subdomainNameErrors(name, false).map((text) => invalid(`${path}.name`, name, text)));
      }
      if (apiGroup !== "") errors.push(notSupported(`${path}.apiGroup`, apiGroup, [""]));
      if (!namespaced && namespace === "") errors.push(requiredField(`${path}.namespace`));
      break;
    case "User":
    case "Group":
      if (apiGroup !== RBAC_GROUP) errors.push(notSupported(`${path}.apiGroup`, apiGroup, [RBAC_GROUP]));
      break;
    default:
      errors.push(notSupported(`${path}.kind`, kind, ["ServiceAccount", "User", "Group"]));
  }
  return errors;
}

export function isSameRole(role: RoleRef, old: RoleRef): boolean {
  return role.apiGroup === old.apiGroup && role.kind === old.kind && role.name === old.name;
}
