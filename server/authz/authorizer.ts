/**
 * The authorizer chain `Node,RBAC`: the privileged group, then nodes, then roles. The first allow decides, and a request
 * that no authorizer allows is refused (`pkg/kubeapiserver/authorizer/config.go`).
 */
import type { SubjectRulesReviewStatus } from "../../core/kube/authorization_v1.ts";
import { MASTERS_GROUP, type UserInfo } from "../../core/kube/user.ts";
import type { Attributes, Decision } from "../../core/rbac/attributes.ts";
import { createRulesReview, evaluateRbac } from "../../core/rbac/evaluate.ts";
import { authorizeNode, isNodeUser, NODE_RULES_ERROR } from "./node_authorizer.ts";
import type { RbacSource } from "./rbac_source.ts";

/** Decides what a user may do. */
export interface Authorizer {
  authorize(user: UserInfo, attributes: Attributes): Promise<Decision>;
  /** Lists what a user may do in a namespace, as far as the rules of the authorizers can be enumerated. */
  rulesFor(user: UserInfo, namespace: string): Promise<SubjectRulesReviewStatus>;
}

/** Creates the chain. A change of roles takes effect at once. */
export function createAuthorizer(deps: { readonly rbac: RbacSource }): Authorizer {
  return {
    authorize(user, attributes) {
      if (user.groups.includes(MASTERS_GROUP)) return Promise.resolve({ kind: "allow", reason: "" });
      const node = authorizeNode(user, attributes);
      if (node.kind !== "noOpinion") return Promise.resolve(node);
      const rbac = evaluateRbac(user, attributes, deps.rbac.objects());
      if (rbac.kind !== "noOpinion") return Promise.resolve(rbac);
      return Promise.resolve({ kind: "noOpinion", reason: joinReasons({ node: node.reason, rbac: rbac.reason }) });
    },
    rulesFor(user, namespace) {
      const status = createRulesReview(user, namespace, deps.rbac.objects());
      if (!isNodeUser(user)) return Promise.resolve(status);
      const errors = [NODE_RULES_ERROR, ...(status.evaluationError === undefined ? [] : [status.evaluationError])];
      return Promise.resolve({ ...status, incomplete: true, evaluationError: joinErrors(errors) });
    },
  };
}

/** Prefixes each authorizer's text with its name (`apiserver/pkg/authorization/union/union.go`). */
function joinReasons(reasons: Readonly<Record<string, string>>): string {
  return Object.entries(reasons).filter(([, text]) => text !== "").map(([name, text]) => `${name}: ${text}`).join("\n");
}

/** Joins several errors into one text (apimachinery `util/errors`, `Aggregate`). */
export function joinErrors(errors: readonly string[]): string {
  return errors.length === 1 ? errors[0] ?? "" : `[${errors.join(", ")}]`;
}
