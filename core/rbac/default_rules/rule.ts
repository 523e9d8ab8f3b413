/** Short forms for the tables of default rules: words are separated by spaces. */
import type { PolicyRule } from "../../kube/rbac_v1.ts";

/** A rule about resources. The core group, whose name is empty, is written `core`. */
export function allow(verbs: string, groups: string, resources: string, names?: string): PolicyRule {
  return {
    verbs: words(verbs),
    apiGroups: words(groups).map((group) => (group === "core" ? "" : group)),
    resources: words(resources),
    ...(names === undefined ? {} : { resourceNames: words(names) }),
  };
}

/** A rule about paths. */
export function allowPaths(verbs: string, paths: string): PolicyRule {
  return { verbs: words(verbs), nonResourceURLs: words(paths) };
}

/** The permission to approve requests for a signer. */
export function approve(signerName: string): PolicyRule {
  return allow("approve", "certificates.k8s.io", "signers", signerName);
}

/** Reporting events, in both groups that know them. */
export const EVENTS_RULE: PolicyRule = allow("create patch update", "core events.k8s.io", "events");

function words(text: string): readonly string[] {
  return text.split(" ");
}
