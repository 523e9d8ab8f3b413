/** Short forms of rules, in which spaces separate the words. */
import type { PolicyRule } from "../kube/kinds/rbac_v1.ts";

/** Creates a rule for resources. The core group, whose name is empty, is written `core`. */
export function allow(verbs: string, groups: string, resources: string, names?: string): PolicyRule {
  return {
    verbs: words(verbs),
    apiGroups: words(groups).map((group) => (group === "core" ? "" : group)),
    resources: words(resources),
    ...(names === undefined ? {} : { resourceNames: words(names) }),
  };
}

/** Creates a rule for non-resource paths. */
export function allowPaths(verbs: string, paths: string): PolicyRule {
  return { verbs: words(verbs), nonResourceURLs: words(paths) };
}

/** Creates the permission to approve requests for a signer. */
export function approve(signerName: string): PolicyRule {
  return allow("approve", "certificates.k8s.io", "signers", signerName);
}

/** The permission to report events in both API groups. */
export const EVENTS_RULE: PolicyRule = allow("create patch update", "core events.k8s.io", "events");

function words(text: string): readonly string[] {
  return text.split(" ");
}
