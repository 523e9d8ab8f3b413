/**
 * Audit policies of Kubernetes' own kind (`audit.k8s.io/v1` Policy, `apiserver/pkg/audit/policy`). The first matching
 * rule decides. An unknown field is an error, whereas kube-apiserver only warns, because a misspelled rule would
 * silently record nothing.
 */
import type { UserInfo } from "../kube/user.ts";
import type { Attributes, ResourceAttributes } from "../rbac/attributes.ts";
import { matchesPath } from "../rbac/evaluate.ts";
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

/** How much of a request is recorded, in ascending order. */
export const AUDIT_LEVELS = ["None", "Metadata", "Request", "RequestResponse"] as const;
/** One of the levels in AUDIT_LEVELS. */
export type AuditLevel = (typeof AUDIT_LEVELS)[number];

/** The stages of a request at which an event is recorded. */
export const AUDIT_STAGES = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"] as const;
/** One of the stages in AUDIT_STAGES. */
export type AuditStage = (typeof AUDIT_STAGES)[number];

/** The resources of a group: `pods`, `pods/log`, `pods/*`, `*\/scale`, `*`; an empty list means all of the group. */
export interface AuditResources {
  /** Empty for the core group, `*` for every group. */
  readonly group: string;
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
}

/** A rule of an audit policy; an empty list matches everything. */
export interface AuditRule {
  readonly level: AuditLevel;
  readonly users: readonly string[];
  readonly userGroups: readonly string[];
  readonly verbs: readonly string[];
  readonly resources: readonly AuditResources[];
  readonly namespaces: readonly string[];
  readonly nonResourceURLs: readonly string[];
  readonly omitStages: readonly AuditStage[];
  /** Overrides the policy's value when defined. */
  readonly omitManagedFields?: boolean | undefined;
}

/** An audit policy, parsed and validated. */
export interface AuditPolicy {
  readonly rules: readonly AuditRule[];
  readonly omitStages: readonly AuditStage[];
  readonly omitManagedFields: boolean;
}

/** The parts of one request that are recorded. */
export interface AuditDecision {
  readonly level: AuditLevel;
  readonly omitStages: ReadonlySet<AuditStage>;
  readonly omitManagedFields: boolean;
}

/** The policy without a policy file. It records the metadata of each request once, and of each watch twice. */
export const DEFAULT_AUDIT_POLICY: AuditPolicy = {
  rules: [{
    level: "Metadata",
    users: [],
    userGroups: [],
    verbs: [],
    resources: [],
    namespaces: [],
    nonResourceURLs: [],
    omitStages: [],
  }],
  omitStages: ["RequestReceived"],
  omitManagedFields: false,
};

/** Decides which parts of a request are recorded; `user` is undefined when authentication failed. */
export function decideAudit(policy: AuditPolicy, user: UserInfo | undefined, attributes: Attributes): AuditDecision {
  const rule = policy.rules.find((candidate) => matches(candidate, user, attributes));
  return {
    level: withoutSecrets(rule?.level ?? "None", attributes),
    omitStages: new Set([...policy.omitStages, ...rule?.omitStages ?? []]),
    omitManagedFields: rule?.omitManagedFields ?? policy.omitManagedFields,
  };
}

/** Reports whether a level is at least another level. */
export function isAtLeast(level: AuditLevel, least: AuditLevel): boolean {
  return AUDIT_LEVELS.indexOf(level) >= AUDIT_LEVELS.indexOf(least);
}

/** Resources whose bodies are secrets. Only their metadata is recorded, whatever the policy says. */
const SECRET_RESOURCES: ReadonlySet<string> = new Set([
  "/secrets",
  "/serviceaccounts/token",
  "authentication.k8s.io/tokenreviews",
  "tlsboot/nodeattestations",
]);

/** Reports whether the bodies of a request contain secrets. */
export function hasSecretBodies(attributes: Attributes): boolean {
  if (attributes.kind !== "resource") return false;
  const { apiGroup, resource, subresource } = attributes;
  const name = `${apiGroup}/${resource}`;
  return SECRET_RESOURCES.has(name) || SECRET_RESOURCES.has(`${name}/${subresource}`);
}

function withoutSecrets(level: AuditLevel, attributes: Attributes): AuditLevel {
  return isAtLeast(level, "Request") && hasSecretBodies(attributes) ? "Metadata" : level;
}

function matches(rule: AuditRule, user: UserInfo | undefined, attributes: Attributes): boolean {
  if (rule.users.length > 0 && (user === undefined || !rule.users.includes(user.username))) return false;
  if (rule.userGroups.length > 0 && !rule.userGroups.some((group) => user?.groups.includes(group) === true)) {
    return false;
  }
  if (rule.verbs.length > 0 && !rule.verbs.includes(attributes.verb)) return false;
  if (rule.namespaces.length > 0 || rule.resources.length > 0) {
    return attributes.kind === "resource" && matchesResource(rule, attributes);
  }
  if (rule.nonResourceURLs.length === 0) return true;
  return attributes.kind === "path" && rule.nonResourceURLs.some((pattern) => matchesPath(pattern, attributes.path));
}

function matchesResource({ namespaces, resources }: AuditRule, attributes: ResourceAttributes): boolean {
  if (namespaces.length > 0 && !namespaces.includes(attributes.namespace)) return false;
  return resources.length === 0 || resources.some((candidate) => matchesGroup(candidate, attributes));
}

function matchesGroup({ group, resources, resourceNames }: AuditResources, attributes: ResourceAttributes): boolean {
  if (group !== "*" && group !== attributes.apiGroup) return false;
  if (resources.length === 0) return true;
  if (resourceNames.length > 0 && !resourceNames.includes(attributes.name)) return false;
  const { resource, subresource } = attributes;
  const combined = subresource === "" ? resource : `${resource}/${subresource}`;
  return resources.some((spec) =>
    spec === "*" || spec === combined || spec === `${resource}/*` || (subresource !== "" && spec === `*/${subresource}`)
  );
}

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
      return fault(place, "a rule has resources or nonResourceURLs, not both");
    }
    if (resources.some((entry) => entry.resourceNames.length > 0 && entry.resources.length === 0)) {
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
