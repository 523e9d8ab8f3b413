/** SelfSubjectAccessReview (staging `k8s.io/api/authorization/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import {
  nonResourceAttributesSchema,
  resourceAttributesSchema,
  subjectAccessReviewStatusSchema,
} from "./_access_review.ts";
import { message } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";

/** Asks whether the caller may do something. */
export const selfSubjectAccessReviewSchema: ObjectSchema = {
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

/** `SelfSubjectAccessReview` of `authorization.k8s.io/v1`. */
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

/** A question about the caller; exactly one kind of attributes is given. */
export const selfSubjectAccessReviewSpecSchema: MessageSchema = {
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
