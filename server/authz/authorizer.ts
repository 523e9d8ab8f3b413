/**
 * The authorizer chain `Node,RBAC`: the privileged group, then nodes, then roles; the first allow decides, and no
 * opinion at all is a refusal (`pkg/kubeapiserver/authorizer/config.go`).
 */
import type { SubjectRulesReviewStatus } from "../../core/kube/authorization_v1.ts";
import { MASTERS_GROUP, type UserInfo } from "../../core/kube/user.ts";
import type { Attributes, Decision } from "../../core/rbac/attributes.ts";
import { evaluateRbac, rulesFor } from "../../core/rbac/evaluate.ts";
import { authorizeNode, NODE_RULES_ERROR } from "./node.ts";
import { isNodeUser } from "./node_identity.ts";
import type { RbacSource } from "./rbac_source.ts";

/** Decides what a user may do. */
export interface Authorizer {
  authorize(user: UserInfo, attributes: Attributes): Promise<Decision>;
  /** Everything a user may do in a namespace, as far as it can be told. */
  rulesFor(user: UserInfo, namespace: string): Promise<SubjectRulesReviewStatus>;
}

/** Builds the chain. Answers follow a change of roles at once. */
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
      const status = rulesFor(user, namespace, deps.rbac.objects());
      if (!isNodeUser(user)) return Promise.resolve(status);
      const errors = [NODE_RULES_ERROR, ...(status.evaluationError === undefined ? [] : [status.evaluationError])];
      return Promise.resolve({ ...status, incomplete: true, evaluationError: joinErrors(errors) });
    },
  };
}

/** Each authorizer's own text behind its name (`apiserver/pkg/authorization/union/union.go`). */
function joinReasons(reasons: Readonly<Record<string, string>>): string {
  return Object.entries(reasons).filter(([, text]) => text !== "").map(([name, text]) => `${name}: ${text}`).join("\n");
}

/** Several errors in one text (apimachinery `util/errors` Aggregate). */
export function joinErrors(errors: readonly string[]): string {
  return errors.length === 1 ? errors[0] ?? "" : `[${errors.join(", ")}]`;
}
