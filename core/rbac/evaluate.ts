/**
 * RBAC: finds the rules that apply to a user, and decides whether they allow a request
 * (`pkg/registry/rbac/validation/rule.go`, `plugin/pkg/auth/authorizer/rbac/rbac.go`,
 * `pkg/apis/rbac/v1/evaluation_helpers.go`). RBAC never denies; without a matching rule it has no opinion.
 */
import { trimEndChars } from "../lib/linear_text.ts";
import { omitUndefined } from "../lib/record.ts";
import type { NonResourceRule, ResourceRule, SubjectRulesReviewStatus } from "../kube/kinds/authorization_v1.ts";
import { goQuote } from "../lib/go_text.ts";
import { getName } from "../kube/meta.ts";
import type {
  ClusterRole,
  ClusterRoleBinding,
  PolicyRule,
  Role,
  RoleBinding,
  RoleRef,
  Subject,
} from "../kube/kinds/rbac_v1.ts";
import { FifoCache } from "../lib/bounded.ts";
import { toAccountUsername, type UserInfo } from "../kube/user.ts";
import type { Attributes, Decision, ResourceAttributes } from "./attributes.ts";

/** A snapshot of all roles and bindings. Bindings are tried in the given order. */
export interface RbacObjects {
  /** The ClusterRoles by their name. */
  readonly clusterRoles: ReadonlyMap<string, ClusterRole>;
  readonly clusterRoleBindings: readonly ClusterRoleBinding[];
  /** The Roles by their `namespace/name`. */
  readonly roles: ReadonlyMap<string, Role>;
  /** The RoleBindings by their namespace. */
  readonly roleBindings: ReadonlyMap<string, readonly RoleBinding[]>;
}

/** Decides a request by the first rule that allows it; cluster-wide bindings come first. */
export function evaluateRbac(user: UserInfo, attributes: Attributes, objects: RbacObjects): Decision {
  const namespace = attributes.kind === "resource" ? attributes.namespace : "";
  const missing: RoleRef[] = [];
  for (const grant of getGrants(user, namespace, objects)) {
    if (grant.rules === undefined) missing.push(grant.binding.roleRef);
    else if (grant.rules.some((rule) => ruleAllows(attributes, rule))) {
      return { kind: "allow", reason: `RBAC: allowed by ${describeGrant(grant)}` };
    }
  }
  return { kind: "noOpinion", reason: missing.length === 0 ? "" : `RBAC: ${describeMissingRoles(missing)}` };
}

/** Collects every rule for a user in a namespace, in the order of evaluation, and the bound roles that are missing. */
export function resolveRules(
  user: UserInfo,
  namespace: string,
  objects: RbacObjects,
): { readonly rules: readonly PolicyRule[]; readonly missing: readonly RoleRef[] } {
  const rules: PolicyRule[] = [];
  const missing: RoleRef[] = [];
  for (const grant of getGrants(user, namespace, objects)) {
    if (grant.rules === undefined) missing.push(grant.binding.roleRef);
    else for (const rule of grant.rules) rules.push(rule);
  }
  return { rules, missing };
}

/** Creates the status of a SelfSubjectRulesReview. As upstream, it does not compact rules; kubectl does. */
export function createRulesReview(user: UserInfo, namespace: string, objects: RbacObjects): SubjectRulesReviewStatus {
  const { rules, missing } = resolveRules(user, namespace, objects);
  const resourceRules: ResourceRule[] = [];
  const nonResourceRules: NonResourceRule[] = [];
  for (const rule of rules) {
    if ((rule.resources ?? []).length > 0) resourceRules.push(toResourceRule(rule));
    if ((rule.nonResourceURLs ?? []).length > 0) {
      nonResourceRules.push({ verbs: rule.verbs ?? [], nonResourceURLs: rule.nonResourceURLs ?? [] });
    }
  }
  return {
    resourceRules,
    nonResourceRules,
    incomplete: false,
    ...(missing.length === 0 ? {} : { evaluationError: describeMissingRoles(missing) }),
  };
}

/** Finds the rules of a roleRef; undefined when the role is missing. */
export function findRoleRules(
  roleRef: RoleRef,
  bindingNamespace: string,
  objects: RbacObjects,
): readonly PolicyRule[] | undefined {
  switch (roleRef.kind) {
    case "ClusterRole": {
      const role = objects.clusterRoles.get(roleRef.name);
      return role === undefined ? undefined : role.rules ?? [];
    }
    case "Role": {
      const role = objects.roles.get(`${bindingNamespace}/${roleRef.name}`);
      return role === undefined ? undefined : role.rules ?? [];
    }
    default:
      return undefined;
  }
}

/**
 * Describes the missing roles, each once (apimachinery `util/errors` Aggregate).
 *
 * @param resource the resource name for all of them; by default each has its own kind
 */
export function describeMissingRoles(missing: readonly RoleRef[], resource?: string): string {
  const texts = missing.map(({ kind, name }) => {
    if (kind !== "ClusterRole" && kind !== "Role") return `unsupported role reference kind: ${goQuote(kind)}`;
    return `${resource ?? kind.toLowerCase()}.rbac.authorization.k8s.io ${goQuote(name)} not found`;
  });
  const unique = [...new Set(texts)];
  return unique.length === 1 ? unique[0] ?? "" : `[${unique.join(", ")}]`;
}

/** A binding whose subjects include the user, with the rules that it grants. */
interface Grant {
  readonly binding: ClusterRoleBinding | RoleBinding;
  readonly subject: Subject;
  /** The binding's namespace, empty for a ClusterRoleBinding. */
  readonly namespace: string;
  /** The granted rules; undefined when the role is missing. */
  readonly rules: readonly PolicyRule[] | undefined;
}

/** The limits of the cache of grants. The names and groups of usual users fit into `maxKeyLength`. */
const GRANT_CACHE_LIMITS = { maxEntries: 1_000, maxKeyLength: 2_000 };
const grantCaches = new WeakMap<RbacObjects, FifoCache<readonly Grant[]>>();

/** Returns the grants of a user, cached per snapshot because every request needs them. */
function getGrants(user: UserInfo, namespace: string, objects: RbacObjects): readonly Grant[] {
  // JSON separates the names unambiguously.
  const key = JSON.stringify([namespace, user.username, user.groups]);
  let cache = grantCaches.get(objects);
  const cached = cache?.get(key);
  if (cached !== undefined) return cached;
  const grants = [...findGrants(user, namespace, objects)];
  if (cache === undefined) grantCaches.set(objects, cache = new FifoCache(GRANT_CACHE_LIMITS));
  cache.set(key, grants);
  return grants;
}

function* findGrants(user: UserInfo, namespace: string, objects: RbacObjects): Generator<Grant> {
  yield* findGrantsInBindings(user, objects.clusterRoleBindings, "", objects);
  if (namespace !== "") {
    yield* findGrantsInBindings(user, objects.roleBindings.get(namespace) ?? [], namespace, objects);
  }
}

function* findGrantsInBindings(
  user: UserInfo,
  bindings: readonly (ClusterRoleBinding | RoleBinding)[],
  namespace: string,
  objects: RbacObjects,
): Generator<Grant> {
  const groups = new Set(user.groups);
  for (const binding of bindings) {
    const subject = binding.subjects?.find((candidate) => isSubject(user.username, groups, candidate, namespace));
    if (subject === undefined) continue;
    yield { binding, subject, namespace, rules: findRoleRules(binding.roleRef, namespace, objects) };
  }
}

function isSubject(
  username: string,
  groups: ReadonlySet<string>,
  subject: Subject,
  bindingNamespace: string,
): boolean {
  switch (subject.kind) {
    case "User":
      return username === subject.name;
    case "Group":
      return groups.has(subject.name);
    case "ServiceAccount": {
      const namespace = getSubjectNamespace(subject, bindingNamespace);
      return namespace !== "" && username === toAccountUsername(namespace, subject.name);
    }
    default:
      return false;
  }
}

function describeGrant({ binding, subject, namespace }: Grant): string {
  const isCluster = namespace === "";
  const name = isCluster ? getName(binding) : `${getName(binding)}/${namespace}`;
  const { kind, name: role } = binding.roleRef;
  return `${isCluster ? "ClusterRoleBinding" : "RoleBinding"} ${goQuote(name)} of ${kind} ${goQuote(role)} to ` +
    describeSubject(subject, namespace);
}

function describeSubject(subject: Subject, bindingNamespace: string): string {
  const name = subject.kind === "ServiceAccount"
    ? `${subject.name}/${getSubjectNamespace(subject, bindingNamespace)}`
    : subject.name;
  return `${subject.kind} ${goQuote(name)}`;
}

function getSubjectNamespace(subject: Subject, bindingNamespace: string): string {
  return subject.namespace === undefined || subject.namespace === "" ? bindingNamespace : subject.namespace;
}

function toResourceRule(rule: PolicyRule): ResourceRule {
  return {
    verbs: rule.verbs ?? [],
    ...omitUndefined({ apiGroups: rule.apiGroups, resources: rule.resources, resourceNames: rule.resourceNames }),
  };
}

export function rulesAllow(attributes: Attributes, rules: readonly PolicyRule[]): boolean {
  return rules.some((rule) => ruleAllows(attributes, rule));
}

/**
 * Reports whether a rule allows a request. `*` covers every verb, group, resource or path, and `*` before a slash one
 * subresource of every resource. Names are compared literally, so a rule with names never allows a request without one.
 */
export function ruleAllows(attributes: Attributes, rule: PolicyRule): boolean {
  if (!matches(rule.verbs, attributes.verb)) return false;
  if (attributes.kind === "path") return (rule.nonResourceURLs ?? []).some((url) => matchesPath(url, attributes.path));
  return matches(rule.apiGroups, attributes.apiGroup) && matchesResource(rule.resources, attributes) &&
    matchesName(rule.resourceNames, attributes.name);
}

/** Reports whether a path, or a pattern that ends in `*`, covers a path. */
export function matchesPath(pattern: string, path: string): boolean {
  return pattern === path || (pattern.endsWith("*") && path.startsWith(trimEndChars(pattern, "*")));
}

function matches(allowed: readonly string[] | null | undefined, wanted: string): boolean {
  return allowed !== undefined && allowed !== null && (allowed.includes("*") || allowed.includes(wanted));
}

function matchesResource(allowed: readonly string[] | undefined, attributes: ResourceAttributes): boolean {
  const { resource, subresource } = attributes;
  if (subresource === "") return matches(allowed, resource);
  return matches(allowed, `${resource}/${subresource}`) || (allowed?.includes(`*/${subresource}`) ?? false);
}

function matchesName(allowed: readonly string[] | undefined, name: string): boolean {
  return allowed === undefined || allowed.length === 0 || allowed.includes(name);
}
