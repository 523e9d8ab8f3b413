/** What a role allows (staging `k8s.io/api/rbac/v1/types.go`). */
import type { MessageSchema } from "../schema.ts";
import { list, STRING } from "./_fields.ts";

/** Verbs that are allowed on resources or paths. */
export const policyRuleSchema: MessageSchema = {
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
