/** The review kinds of `authorization.k8s.io/v1` (staging `k8s.io/api/authorization/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { BOOL, list, map, message, STRING } from "./fields.ts";
import { METADATA } from "./object_meta.ts";
import { fieldSelectorRequirementSchema, labelSelectorRequirementSchema } from "./meta_v1.ts";

const subjectAccessReviewSchema: ObjectSchema = {
  name: "io.k8s.api.authorization.v1.SubjectAccessReview",
  description: "Asks whether a given user may do something.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => subjectAccessReviewSpecSchema),
      presence: "always",
      required: true,
      description: "The question.",
    },
    status: {
      number: 3,
      type: message(() => subjectAccessReviewStatusSchema),
      presence: "always",
      description: "The answer; filled by the server.",
    },
  },
};

/** Describes the kind `SubjectAccessReview` of `authorization.k8s.io/v1` for all codecs. */
export const subjectAccessReviewKind: Kind = {
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SubjectAccessReview",
  listKind: "",
  plural: "subjectaccessreviews",
  singular: "subjectaccessreview",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: subjectAccessReviewSchema,
};

const localSubjectAccessReviewSchema: ObjectSchema = {
  name: "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
  description: "Asks whether a given user may do something in one namespace.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => subjectAccessReviewSpecSchema),
      presence: "always",
      required: true,
      description: "The question; its namespace must be that of the review.",
    },
    status: {
      number: 3,
      type: message(() => subjectAccessReviewStatusSchema),
      presence: "always",
      description: "The answer; filled by the server.",
    },
  },
};

/** Describes the kind `LocalSubjectAccessReview` of `authorization.k8s.io/v1` for all codecs. */
export const localSubjectAccessReviewKind: Kind = {
  group: "authorization.k8s.io",
  version: "v1",
  kind: "LocalSubjectAccessReview",
  listKind: "",
  plural: "localsubjectaccessreviews",
  singular: "localsubjectaccessreview",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: localSubjectAccessReviewSchema,
};

const selfSubjectAccessReviewSchema: ObjectSchema = {
  name: "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
  description: "Asks whether the caller may do something.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => selfSubjectAccessReviewSpecSchema),
      presence: "always",
      required: true,
      description: "The question.",
    },
    status: {
      number: 3,
      type: message(() => subjectAccessReviewStatusSchema),
      presence: "always",
      description: "The answer; filled by the server.",
    },
  },
};

/** Describes the kind `SelfSubjectAccessReview` of `authorization.k8s.io/v1` for all codecs. */
export const selfSubjectAccessReviewKind: Kind = {
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SelfSubjectAccessReview",
  listKind: "",
  plural: "selfsubjectaccessreviews",
  singular: "selfsubjectaccessreview",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: selfSubjectAccessReviewSchema,
};

const selfSubjectAccessReviewSpecSchema: MessageSchema = {
  name: "io.k8s.api.authorization.v1.SelfSubjectAccessReviewSpec",
  description: "A question about the caller; exactly one kind of attributes is given.",
  fields: {
    resourceAttributes: {
      number: 1,
      type: message(() => resourceAttributesSchema),
      presence: "optional",
      description: "A request for a resource.",
    },
    nonResourceAttributes: {
      number: 2,
      type: message(() => nonResourceAttributesSchema),
      presence: "optional",
      description: "A request for a path.",
    },
  },
};

const selfSubjectRulesReviewSchema: ObjectSchema = {
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

/** Describes the kind `SelfSubjectRulesReview` of `authorization.k8s.io/v1` for all codecs. */
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

const selfSubjectRulesReviewSpecSchema: MessageSchema = {
  name: "io.k8s.api.authorization.v1.SelfSubjectRulesReviewSpec",
  description: "The namespace that the question is about.",
  fields: {
    namespace: { number: 1, type: STRING, presence: "omitempty", description: "The namespace; required." },
  },
};

const subjectRulesReviewStatusSchema: MessageSchema = {
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
      description: "Errors that occurred while the rules were collected.",
    },
  },
};

const resourceRuleSchema: MessageSchema = {
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

const nonResourceRuleSchema: MessageSchema = {
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

const subjectAccessReviewSpecSchema: MessageSchema = {
  name: "io.k8s.api.authorization.v1.SubjectAccessReviewSpec",
  description: "A question about a user; exactly one kind of attributes is given.",
  fields: {
    resourceAttributes: {
      number: 1,
      type: message(() => resourceAttributesSchema),
      presence: "optional",
      description: "A request for a resource.",
    },
    nonResourceAttributes: {
      number: 2,
      type: message(() => nonResourceAttributesSchema),
      presence: "optional",
      description: "A request for a path.",
    },
    user: { number: 3, type: STRING, presence: "omitempty", description: "User the question is about." },
    groups: {
      number: 4,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Groups of that user.",
    },
    extra: {
      number: 5,
      type: map(list(STRING)),
      presence: "omitempty",
      goType: "map[string]v1.ExtraValue",
      description: "Further attributes of that user.",
    },
    uid: { number: 6, type: STRING, presence: "omitempty", description: "Identifier of that user." },
  },
};

const resourceAttributesSchema: MessageSchema = {
  name: "io.k8s.api.authorization.v1.ResourceAttributes",
  description: "A request for a resource.",
  fields: {
    namespace: {
      number: 1,
      type: STRING,
      presence: "omitempty",
      description: "Namespace of the request; empty for cluster-wide ones or all namespaces.",
    },
    verb: { number: 2, type: STRING, presence: "omitempty", description: "Verb, such as get or create; * means all." },
    group: { number: 3, type: STRING, presence: "omitempty", description: "API group; * means all." },
    version: { number: 4, type: STRING, presence: "omitempty", description: "API version; * means all." },
    resource: { number: 5, type: STRING, presence: "omitempty", description: "Resource; * means all." },
    subresource: { number: 6, type: STRING, presence: "omitempty", description: "Subresource; empty for none." },
    name: { number: 7, type: STRING, presence: "omitempty", description: "Name of the object; empty means all." },
    fieldSelector: {
      number: 8,
      type: message(() => fieldSelectorAttributesSchema),
      presence: "optional",
      description: "Field selector that limits the request.",
    },
    labelSelector: {
      number: 9,
      type: message(() => labelSelectorAttributesSchema),
      presence: "optional",
      description: "Label selector that limits the request.",
    },
  },
};

const fieldSelectorAttributesSchema: MessageSchema = {
  name: "io.k8s.api.authorization.v1.FieldSelectorAttributes",
  description: "A field selector, raw or parsed.",
  fields: {
    rawSelector: { number: 1, type: STRING, presence: "omitempty", description: "The selector as text." },
    requirements: {
      number: 2,
      type: list(message(() => fieldSelectorRequirementSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "The selector as conditions.",
    },
  },
};

const labelSelectorAttributesSchema: MessageSchema = {
  name: "io.k8s.api.authorization.v1.LabelSelectorAttributes",
  description: "A label selector, raw or parsed.",
  fields: {
    rawSelector: { number: 1, type: STRING, presence: "omitempty", description: "The selector as text." },
    requirements: {
      number: 2,
      type: list(message(() => labelSelectorRequirementSchema)),
      presence: "omitempty",
      listType: "atomic",
      description: "The selector as conditions.",
    },
  },
};

const nonResourceAttributesSchema: MessageSchema = {
  name: "io.k8s.api.authorization.v1.NonResourceAttributes",
  description: "A request for a path.",
  fields: {
    path: { number: 1, type: STRING, presence: "omitempty", description: "The path." },
    verb: { number: 2, type: STRING, presence: "omitempty", description: "HTTP method in lower case." },
  },
};

const subjectAccessReviewStatusSchema: MessageSchema = {
  name: "io.k8s.api.authorization.v1.SubjectAccessReviewStatus",
  description: "The answer to an access question.",
  fields: {
    allowed: {
      number: 1,
      type: BOOL,
      presence: "always",
      required: true,
      description: "True when an authorizer allows the request.",
    },
    denied: {
      number: 4,
      type: BOOL,
      presence: "omitempty",
      description: "True when an authorizer forbids the request explicitly.",
    },
    reason: {
      number: 2,
      type: STRING,
      presence: "omitempty",
      description: "The reason for the answer, where it is known.",
    },
    evaluationError: {
      number: 3,
      type: STRING,
      presence: "omitempty",
      description: "Errors that occurred while the request was evaluated.",
    },
  },
};
