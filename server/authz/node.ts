/**
 * The Node authorizer (`plugin/pkg/auth/authorizer/node/node_authorizer.go`): what a kubelet may do follows from its
 * name, not from a binding.
 */
import type { UserInfo } from "../../core/kube/user.ts";
import type { Attributes, Decision } from "../../core/rbac/attributes.ts";
import { NODE_RULES } from "../../core/rbac/node_rules.ts";
import { rulesAllow } from "../../core/rbac/rules.ts";
import { ALLOW, noOpinion } from "./_node_decision.ts";
import { authorizeNodeResource } from "./_node_resources.ts";
import { findNodeName } from "./node_identity.ts";
import { quoteText } from "../../core/kube/quote.ts";

/** Evaluation error of a rules review for a node. */
export const NODE_RULES_ERROR = "node authorizer does not support user rule resolution";

/** Decides for node users; has no opinion of anybody else. */
export function authorizeNode(user: UserInfo, attributes: Attributes): Decision {
  const nodeName = findNodeName(user);
  if (nodeName === undefined) return noOpinion("");
  if (nodeName === "") return noOpinion(`unknown node for user ${quoteText(user.username)}`);
  const special = attributes.kind === "resource" ? authorizeNodeResource(nodeName, attributes) : undefined;
  if (special !== undefined) return special;
  return rulesAllow(attributes, NODE_RULES) ? ALLOW : noOpinion("");
}
