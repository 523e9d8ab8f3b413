/** RoleBinding (staging `k8s.io/api/rbac/v1/types.go`). */
import type { Kind, ObjectSchema } from "../schema.ts";
import { roleRefSchema, subjectSchema } from "./_binding.ts";
import { list, message } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";

/** Gives a role to subjects within one namespace. */
export const roleBindingSchema: ObjectSchema = {
  name: "io.k8s.api.rbac.v1.RoleBinding",
  description: "Gives a role to subjects within one namespace.",
  fields: {
    metadata: METADATA,
    subjects: {
      number: 2,
      type: list(message(() => subjectSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Who gets the role.",
    },
    roleRef: {
      number: 3,
      type: message(() => roleRefSchema),
      presence: "always",
      required: true,
      description: "The role; cannot change.",
    },
  },
};

/** `RoleBinding` of `rbac.authorization.k8s.io/v1`. */
export const roleBindingKind: Kind = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "RoleBinding",
  listKind: "RoleBindingList",
  plural: "rolebindings",
  singular: "rolebinding",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: roleBindingSchema,
};
