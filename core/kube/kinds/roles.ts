/** Role (staging `k8s.io/api/rbac/v1/types.go`). */
import type { Kind, ObjectSchema } from "../schema.ts";
import { list, message } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";
import { policyRuleSchema } from "./_policy_rule.ts";

/** Rules within one namespace. */
export const roleSchema: ObjectSchema = {
  name: "io.k8s.api.rbac.v1.Role",
  description: "Rules within one namespace.",
  fields: {
    metadata: METADATA,
    rules: {
      number: 2,
      type: list(message(() => policyRuleSchema)),
      presence: "always",
      listType: "atomic",
      description: "What the role allows.",
    },
  },
};

/** `Role` of `rbac.authorization.k8s.io/v1`. */
export const roleKind: Kind = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "Role",
  listKind: "RoleList",
  plural: "roles",
  singular: "role",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: roleSchema,
};
