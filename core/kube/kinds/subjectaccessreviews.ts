/** SubjectAccessReview (staging `k8s.io/api/authorization/v1/types.go`). */
import type { Kind, ObjectSchema } from "../schema.ts";
import { subjectAccessReviewSpecSchema, subjectAccessReviewStatusSchema } from "./_access_review.ts";
import { message } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";

/** Asks whether a given user may do something. */
export const subjectAccessReviewSchema: ObjectSchema = {
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

/** `SubjectAccessReview` of `authorization.k8s.io/v1`. */
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
