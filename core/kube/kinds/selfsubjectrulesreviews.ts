/** SelfSubjectRulesReview (staging `k8s.io/api/authorization/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { BOOL, list, message, STRING } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";

/** Asks for everything the caller may do in a namespace. */
export const selfSubjectRulesReviewSchema: ObjectSchema = {
  name: "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
  description: "Asks for everything the caller may do in a namespace.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => selfSubjectRulesReviewSpecSchema),
      presence: "always",
      required: true,
      description: "The question.",
    },
    status: {
      number: 3,
      type: message(() => subjectRulesReviewStatusSchema),
      presence: "always",
      description: "The answer; filled by the server.",
    },
  },
};

/** `SelfSubjectRulesReview` of `authorization.k8s.io/v1`. */
export const selfSubjectRulesReviewKind: Kind = {
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SelfSubjectRulesReview",
  listKind: "",
  plural: "selfsubjectrulesreviews",
  singular: "selfsubjectrulesreview",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: selfSubjectRulesReviewSchema,
};

/** Which namespace is asked about. */
export const selfSubjectRulesReviewSpecSchema: MessageSchema = {
  name: "io.k8s.api.authorization.v1.SelfSubjectRulesReviewSpec",
  description: "Which namespace is asked about.",
  fields: {
    namespace: { number: 1, type: STRING, presence: "omitempty", description: "The namespace; required." },
  },
};

/** Everything a user may do in a namespace. */
export const subjectRulesReviewStatusSchema: MessageSchema = {
  name: "io.k8s.api.authorization.v1.SubjectRulesReviewStatus",
  description: "Everything a user may do in a namespace.",
  fields: {
    resourceRules: {
      number: 1,
      type: list(message(() => resourceRuleSchema)),
      presence: "always",
      required: true,
      listType: "atomic",
      description: "Allowed requests for resources, in no order.",
    },
    nonResourceRules: {
      number: 2,
      type: list(message(() => nonResourceRuleSchema)),
      presence: "always",
      required: true,
      listType: "atomic",
      description: "Allowed requests for paths, in no order.",
    },
    incomplete: {
      number: 3,
      type: BOOL,
      presence: "always",
      required: true,
      description: "True when rules may be missing.",
    },
    evaluationError: {
      number: 4,
      type: STRING,
      presence: "omitempty",
      description: "What went wrong while the rules were sought.",
    },
  },
};

/** Verbs allowed on resources. */
export const resourceRuleSchema: MessageSchema = {
  name: "io.k8s.api.authorization.v1.ResourceRule",
  description: "Verbs allowed on resources.",
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
      description: "Groups of the resources; * means all.",
    },
    resources: {
      number: 3,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Resources; * means all.",
    },
    resourceNames: {
      number: 4,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Names the rule is restricted to.",
    },
  },
};

/** Verbs allowed on paths. */
export const nonResourceRuleSchema: MessageSchema = {
  name: "io.k8s.api.authorization.v1.NonResourceRule",
  description: "Verbs allowed on paths.",
  fields: {
    verbs: {
      number: 1,
      type: list(STRING),
      presence: "always",
      required: true,
      listType: "atomic",
      description: "Verbs that are allowed; * means all.",
    },
    nonResourceURLs: {
      number: 2,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "The paths, * as the last step.",
    },
  },
};
