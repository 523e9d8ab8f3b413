/** LocalSubjectAccessReview (staging `k8s.io/api/authorization/v1/types.go`). */
import type { Kind, ObjectSchema } from "../schema.ts";
import { subjectAccessReviewSpecSchema, subjectAccessReviewStatusSchema } from "./_access_review.ts";
import { message } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";

/** Asks whether a given user may do something in one namespace. */
export const localSubjectAccessReviewSchema: ObjectSchema = {
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

/** `LocalSubjectAccessReview` of `authorization.k8s.io/v1`. */
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
