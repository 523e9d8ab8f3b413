/**
 * Parses an audit policy file of Kubernetes' own kind, `audit.k8s.io/v1` Policy. It is strict, whereas kube-apiserver warns
 * and ignores an unknown field, because a misspelled rule would silently record nothing.
 */
import { dns1123SubdomainErrors } from "../kube/names.ts";
import {
  checkedText,
  defaultKey,
  fault,
  flag,
  listOf,
  mapped,
  mapping,
  nonEmptyListOf,
  oneOf,
  optionalKey,
  parseConfigDocument,
  requiredKey,
  type Shape,
  text,
} from "../lib/config_file.ts";
import type { Result } from "../lib/result.ts";
import { AUDIT_LEVELS, AUDIT_STAGES, type AuditPolicy, type AuditRule } from "./policy.ts";

const AUDIT_API_VERSION = "audit.k8s.io/v1";

const anyText: Shape<string> = (value, place) => typeof value === "string" ? value : fault(place, "want text");

const group = mapped(anyText, (read, place) => {
  const wrong = read === "" || read === "*" ? undefined : dns1123SubdomainErrors(read)[0];
  return wrong === undefined ? read : fault(place, `want a group without its version, such as apps: ${wrong}`);
});

const url = checkedText((value) => {
  if (value === "*") return undefined;
  if (!value.startsWith("/")) return 'must begin with "/"';
  return value.slice(0, -1).includes("*") ? 'a "*" must be the last character' : undefined;
});

const RESOURCES = mapping({
  group: defaultKey(group, ""),
  resources: defaultKey(listOf(text), []),
  resourceNames: defaultKey(listOf(anyText), []),
});

const RULE: Shape<AuditRule> = mapped(
  mapping({
    level: requiredKey(oneOf(AUDIT_LEVELS)),
    users: defaultKey(listOf(text), []),
    userGroups: defaultKey(listOf(text), []),
    verbs: defaultKey(listOf(text), []),
    resources: defaultKey(listOf(RESOURCES), []),
    namespaces: defaultKey(listOf(anyText), []),
    nonResourceURLs: defaultKey(listOf(url), []),
    omitStages: defaultKey(listOf(oneOf(AUDIT_STAGES)), []),
    omitManagedFields: optionalKey(flag),
  }),
  (rule, place) => {
    const { nonResourceURLs, resources, namespaces } = rule;
    if (nonResourceURLs.length > 0 && (resources.length > 0 || namespaces.length > 0)) {
      return fault(place, "a rule names resources or nonResourceURLs, not both");
    }
    if (resources.some((one) => one.resourceNames.length > 0 && one.resources.length === 0)) {
      return fault(place, "resourceNames need at least one of resources");
    }
    return rule;
  },
);

const POLICY = mapping({
  metadata: optionalKey<unknown>((value) => value),
  rules: requiredKey(nonEmptyListOf(RULE)),
  omitStages: defaultKey(listOf(oneOf(AUDIT_STAGES)), []),
  omitManagedFields: defaultKey(flag, false),
});

/** Parses the text of a policy file; the error lists every fault. */
export function parseAuditPolicy(source: string): Result<AuditPolicy, readonly string[]> {
  return parseConfigDocument(source, "Policy", POLICY, AUDIT_API_VERSION);
}
