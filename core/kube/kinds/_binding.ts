/** Subjects and the role they get (staging `k8s.io/api/rbac/v1/types.go`). */
import type { MessageSchema } from "../schema.ts";
import { STRING } from "./_fields.ts";

/** A user, group or service account. */
export const subjectSchema: MessageSchema = {
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

/** Names the role that is bound. */
export const roleRefSchema: MessageSchema = {
  name: "io.k8s.api.rbac.v1.RoleRef",
  description: "Names the role that is bound.",
  mapType: "atomic",
  fields: {
    apiGroup: { number: 1, type: STRING, presence: "always", description: "Group of the role." },
    kind: { number: 2, type: STRING, presence: "always", required: true, description: "Role or ClusterRole." },
    name: { number: 3, type: STRING, presence: "always", required: true, description: "Name of the role." },
  },
};
