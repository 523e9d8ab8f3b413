/** ClusterRoleBinding (staging `k8s.io/api/rbac/v1/types.go`). */
import type { Kind, ObjectSchema } from "../schema.ts";
import { roleRefSchema, subjectSchema } from "./_binding.ts";
import { list, message } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";

/** Gives a cluster role to subjects everywhere. */
export const clusterRoleBindingSchema: ObjectSchema = {
  name: "io.k8s.api.rbac.v1.ClusterRoleBinding",
  description: "Gives a cluster role to subjects everywhere.",
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
      description: "The cluster role; cannot change.",
    },
  },
};

/** `ClusterRoleBinding` of `rbac.authorization.k8s.io/v1`. */
export const clusterRoleBindingKind: Kind = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "ClusterRoleBinding",
  listKind: "ClusterRoleBindingList",
  plural: "clusterrolebindings",
  singular: "clusterrolebinding",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: clusterRoleBindingSchema,
};
