/** Question and answer of the access reviews (staging `k8s.io/api/authorization/v1/types.go`). */
import type { MessageSchema } from "../schema.ts";
import { BOOL, list, map, message, STRING } from "./_fields.ts";
import { fieldSelectorRequirementSchema, labelSelectorRequirementSchema } from "./_selectors.ts";

/** A question about a user; exactly one kind of attributes is given. */
export const subjectAccessReviewSpecSchema: MessageSchema = {
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

/** A request for a resource. */
export const resourceAttributesSchema: MessageSchema = {
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

/** A field selector, raw or parsed. */
export const fieldSelectorAttributesSchema: MessageSchema = {
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

/** A label selector, raw or parsed. */
export const labelSelectorAttributesSchema: MessageSchema = {
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

/** A request for a path. */
export const nonResourceAttributesSchema: MessageSchema = {
  name: "io.k8s.api.authorization.v1.NonResourceAttributes",
  description: "A request for a path.",
  fields: {
    path: { number: 1, type: STRING, presence: "omitempty", description: "The path." },
    verb: { number: 2, type: STRING, presence: "omitempty", description: "HTTP method in lower case." },
  },
};

/** The answer to an access question. */
export const subjectAccessReviewStatusSchema: MessageSchema = {
  name: "io.k8s.api.authorization.v1.SubjectAccessReviewStatus",
  description: "The answer to an access question.",
  fields: {
    allowed: {
      number: 1,
      type: BOOL,
      presence: "always",
      required: true,
      description: "True when somebody allows it.",
    },
    denied: { number: 4, type: BOOL, presence: "omitempty", description: "True when it is forbidden outright." },
    reason: { number: 2, type: STRING, presence: "omitempty", description: "Why, where that is known." },
    evaluationError: {
      number: 3,
      type: STRING,
      presence: "omitempty",
      description: "What went wrong while the answer was sought.",
    },
  },
};
