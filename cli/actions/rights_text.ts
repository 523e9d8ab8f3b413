/** What somebody may do, in a few lines, from a SelfSubjectRulesReview. */
import type { ResourceRule, SubjectRulesReviewStatus } from "../../core/kube/authorization_v1.ts";

const MAX_LINES = 10;
const MAX_RESOURCES = 8;
/** Everybody may ask about themselves (`system:basic-user`). */
const OWN_GROUPS = ["authorization.k8s.io", "authentication.k8s.io"];

/** A line for each set of verbs, without what everybody may; empty when there is nothing more. */
export function describeRights(status: SubjectRulesReviewStatus): readonly string[] {
  const resourcesByVerbs = new Map<string, Set<string>>();
  for (const rule of status.resourceRules.filter((rule) => !isEverybodys(rule))) {
    const verbs = rule.verbs.includes("*") ? "everything with" : [...rule.verbs].sort().join(", ");
    const resources = resourcesByVerbs.get(verbs) ?? new Set();
    resourcesByVerbs.set(verbs, resources);
    for (const resource of describeResources(rule)) resources.add(resource);
  }
  const lines = [...resourcesByVerbs].map(([verbs, resources]) => `${verbs}: ${shorten([...resources].sort())}`).sort();
  return lines.length <= MAX_LINES ? lines : [...lines.slice(0, MAX_LINES), `and ${lines.length - MAX_LINES} more`];
}

function isEverybodys({ apiGroups = [], resources = [] }: ResourceRule): boolean {
  return apiGroups.length > 0 && apiGroups.every((group) => OWN_GROUPS.includes(group)) &&
    resources.every((resource) => resource.startsWith("selfsubject"));
}

/** `pods`, `deployments.apps`, `everything` for `*.*`; a subresource only where its resource is not named too. */
function describeResources({ apiGroups = [], resources = [], resourceNames = [] }: ResourceRule): readonly string[] {
  const named = resourceNames.length === 0 ? "" : ` (${resourceNames.join(", ")})`;
  const tops = resources.filter((resource) =>
    !resources.includes(resource.split("/")[0] ?? "") || !resource.includes("/")
  );
  return apiGroups.flatMap((group) =>
    tops.map((resource) => {
      if (group === "*" && resource === "*") return `every resource${named}`;
      return `${group === "" ? resource : `${resource}.${group}`}${named}`;
    })
  );
}

function shorten(resources: readonly string[]): string {
  const rest = resources.length - MAX_RESOURCES;
  if (rest <= 1) return resources.join(", ");
  return `${resources.slice(0, MAX_RESOURCES).join(", ")} and ${rest} more`;
}
