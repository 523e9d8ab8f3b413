/** Roles and their bindings in `rbac.authorization.k8s.io/v1` (staging `k8s.io/api/rbac/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { list, message, STRING } from "./fields.ts";
import { METADATA } from "./object_meta.ts";
import { labelSelectorSchema } from "./meta_v1.ts";

const roleSchema: ObjectSchema = {
  name: "io.k8s.api.rbac.v1.Role",
  description: "Rules within one namespace.",
  fields: {
    metadata: METADATA,
    rules: {
      number: 2,
      type: list(message(() => policyRuleSchema)),
      presence: "always",
      listType: "atomic",
      description: "Rules that the role consists of.",
    },
  },
};

/** Describes the kind `Role` of `rbac.authorization.k8s.io/v1` for all codecs. */
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

const clusterRoleSchema: ObjectSchema = {
  name: "io.k8s.api.rbac.v1.ClusterRole",
  description: "Rules for the whole cluster, or to be bound in any namespace.",
  fields: {
    metadata: METADATA,
    rules: {
      number: 2,
      type: list(message(() => policyRuleSchema)),
      presence: "always",
      listType: "atomic",
      description: "Rules that the role consists of.",
    },
    aggregationRule: {
      number: 3,
      type: message(() => aggregationRuleSchema),
      presence: "optional",
      description: "Fills the rules from other roles.",
    },
  },
};

/** Describes the kind `ClusterRole` of `rbac.authorization.k8s.io/v1` for all codecs. */
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

const aggregationRuleSchema: MessageSchema = {
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

const roleBindingSchema: ObjectSchema = {
  name: "io.k8s.api.rbac.v1.RoleBinding",
  description: "Gives a role to subjects within one namespace.",
  fields: {
    metadata: METADATA,
    subjects: {
      number: 2,
      type: list(message(() => subjectSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Subjects that get the role.",
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

/** Describes the kind `RoleBinding` of `rbac.authorization.k8s.io/v1` for all codecs. */
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

const clusterRoleBindingSchema: ObjectSchema = {
  name: "io.k8s.api.rbac.v1.ClusterRoleBinding",
  description: "Gives a cluster role to subjects everywhere.",
  fields: {
    metadata: METADATA,
    subjects: {
      number: 2,
      type: list(message(() => subjectSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "Subjects that get the role.",
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

/** Describes the kind `ClusterRoleBinding` of `rbac.authorization.k8s.io/v1` for all codecs. */
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

const policyRuleSchema: MessageSchema = {
  name: "io.k8s.api.rbac.v1.PolicyRule",
  description: "Verbs that are allowed on resources or paths.",
  fields: {
    verbs: {
      number: 1,
      type: list(STRING),
      presence: "always",
      required: true,
      listType: "atomic",
      description: "Verbs that are allowed; * means all.",
    },
    apiGroups: {
      number: 2,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: 'Groups of the resources; "" is the core group, * means all.',
    },
    resources: {
      number: 3,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Resources, with a subresource after a slash; * means all.",
    },
    resourceNames: {
      number: 4,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Restricts the rule to objects of these names.",
    },
    nonResourceURLs: {
      number: 5,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Paths that are allowed, * as the last step; cluster roles only.",
    },
  },
};

const subjectSchema: MessageSchema = {
  name: "io.k8s.api.rbac.v1.Subject",
  description: "A user, group or service account.",
  mapType: "atomic",
  fields: {
    kind: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      description: "User, Group or ServiceAccount.",
    },
    apiGroup: {
      number: 2,
      type: STRING,
      presence: "omitempty",
      description: "Group of the kind: empty for service accounts, else rbac.authorization.k8s.io.",
    },
    name: { number: 3, type: STRING, presence: "always", required: true, description: "Name of the subject." },
    namespace: { number: 4, type: STRING, presence: "omitempty", description: "Namespace of a service account." },
  },
};

const roleRefSchema: MessageSchema = {
  name: "io.k8s.api.rbac.v1.RoleRef",
  description: "Names the role that is bound.",
  mapType: "atomic",
  fields: {
    apiGroup: { number: 1, type: STRING, presence: "always", description: "Group of the role." },
    kind: { number: 2, type: STRING, presence: "always", required: true, description: "Role or ClusterRole." },
    name: { number: 3, type: STRING, presence: "always", required: true, description: "Name of the role." },
  },
};
