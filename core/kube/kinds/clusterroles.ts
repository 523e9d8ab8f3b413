/** ClusterRole (staging `k8s.io/api/rbac/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { list, message } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";
import { policyRuleSchema } from "./_policy_rule.ts";
import { labelSelectorSchema } from "./_selectors.ts";

/** Rules for the whole cluster, or to be bound in any namespace. */
export const clusterRoleSchema: ObjectSchema = {
  name: "io.k8s.api.rbac.v1.ClusterRole",
  description: "Rules for the whole cluster, or to be bound in any namespace.",
  fields: {
    metadata: METADATA,
    rules: {
      number: 2,
      type: list(message(() => policyRuleSchema)),
      presence: "always",
      listType: "atomic",
      description: "What the role allows.",
    },
    aggregationRule: {
      number: 3,
      type: message(() => aggregationRuleSchema),
      presence: "optional",
      description: "Fills the rules from other roles.",
    },
  },
};

/** `ClusterRole` of `rbac.authorization.k8s.io/v1`. */
export const clusterRoleKind: Kind = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "ClusterRole",
  listKind: "ClusterRoleList",
  plural: "clusterroles",
  singular: "clusterrole",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: clusterRoleSchema,
};

/** Which roles a cluster role is made of. */
export const aggregationRuleSchema: MessageSchema = {
  name: "io.k8s.api.rbac.v1.AggregationRule",
  description: "Which roles a cluster role is made of.",
  fields: {
    clusterRoleSelectors: {
      number: 1,
      type: list(message(() => labelSelectorSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Selects the cluster roles by label; any match counts.",
    },
  },
};
