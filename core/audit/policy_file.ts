/**
 * Parses an audit policy file of Kubernetes' own kind, `audit.k8s.io/v1` Policy. It is strict, whereas kube-apiserver warns
 * and ignores an unknown field, because a misspelled rule would silently record nothing.
 */
import { dns1123SubdomainErrors } from "../kube/names.ts";
import {
  type ConfigPlace,
  fault,
  flag,
  listOf,
  mapping,
  nonEmptyListOf,
  oneOf,
  optionalKey,
  parseConfigDocument,
  requiredKey,
  type Shape,
  text,
} from "../lib/config_file.ts";
import { ok, type Result } from "../lib/result.ts";
import { AUDIT_LEVELS, AUDIT_STAGES, type AuditPolicy } from "./policy.ts";

/** The API version of an audit policy file. */
const AUDIT_API_VERSION = "audit.k8s.io/v1";

const anyText: Shape<string> = (value, place) => typeof value === "string" ? value : fault(place, "text expected");
const anything: Shape<unknown> = (value) => value;

const group: Shape<string> = (value, place) => {
  const read = anyText(value, place);
  if (read === undefined || read === "" || read === "*") return read;
  const wrong = dns1123SubdomainErrors(read)[0];
  return wrong === undefined ? read : fault(place, `a group without its version expected, such as apps: ${wrong}`);
};

const url: Shape<string> = (value, place) => {
  const read = text(value, place);
  if (read === undefined || read === "*") return read;
  if (!read.startsWith("/")) return fault(place, 'must begin with "/"');
  return read.slice(0, -1).includes("*") ? fault(place, 'a "*" must be the last character') : read;
};

const resources = mapping({
  group: optionalKey(group),
  resources: optionalKey(listOf(text)),
  resourceNames: optionalKey(listOf(anyText)),
});

const ruleKeys = mapping({
  level: requiredKey(oneOf(AUDIT_LEVELS)),
  users: optionalKey(listOf(text)),
  userGroups: optionalKey(listOf(text)),
  verbs: optionalKey(listOf(text)),
  resources: optionalKey(listOf(resources)),
  namespaces: optionalKey(listOf(anyText)),
  nonResourceURLs: optionalKey(listOf(url)),
  omitStages: optionalKey(listOf(oneOf(AUDIT_STAGES))),
  omitManagedFields: optionalKey(flag),
});

type RuleFile = NonNullable<ReturnType<typeof ruleKeys>>;

function rule(value: unknown, place: ConfigPlace): RuleFile | undefined {
  const read = ruleKeys(value, place);
  if (read === undefined) return undefined;
  const { nonResourceURLs = [], resources: groups = [], namespaces = [] } = read;
  if (nonResourceURLs.length > 0 && (groups.length > 0 || namespaces.length > 0)) {
    return fault(place, "a rule is about resources or about nonResourceURLs, not both");
  }
  if (groups.some((one) => (one.resourceNames?.length ?? 0) > 0 && (one.resources?.length ?? 0) === 0)) {
    return fault(place, "resourceNames need at least one of resources");
  }
  return read;
}

const policyFile = mapping({
  metadata: optionalKey(anything),
  rules: requiredKey(nonEmptyListOf(rule)),
  omitStages: optionalKey(listOf(oneOf(AUDIT_STAGES))),
  omitManagedFields: optionalKey(flag),
});

/** Parses the text of a policy file; the error lists every fault. */
export function parseAuditPolicy(source: string): Result<AuditPolicy, readonly string[]> {
  const read = parseConfigDocument(source, "Policy", policyFile, AUDIT_API_VERSION);
  if (!read.ok) return read;
  const { rules, omitStages = [], omitManagedFields = false } = read.value;
  return ok({
    omitStages,
    omitManagedFields,
    rules: rules.map((one) => ({
      level: one.level,
      users: one.users ?? [],
      userGroups: one.userGroups ?? [],
      verbs: one.verbs ?? [],
      namespaces: one.namespaces ?? [],
      nonResourceURLs: one.nonResourceURLs ?? [],
      omitStages: one.omitStages ?? [],
      omitManagedFields: one.omitManagedFields,
      resources: (one.resources ?? []).map((found) => ({
        group: found.group ?? "",
        resources: found.resources ?? [],
        resourceNames: found.resourceNames ?? [],
      })),
    })),
  });
}
