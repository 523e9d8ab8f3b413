/** SelfSubjectReview (staging `k8s.io/api/authentication/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { message } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";
import { userInfoSchema } from "./_user_info.ts";

/** Asks who the caller is. */
export const selfSubjectReviewSchema: ObjectSchema = {
  name: "io.k8s.api.authentication.v1.SelfSubjectReview",
  description: "Asks who the caller is.",
  fields: {
    metadata: METADATA,
    status: {
      number: 2,
      type: message(() => selfSubjectReviewStatusSchema),
      presence: "always",
      description: "The answer; filled by the server.",
    },
  },
};

/** `SelfSubjectReview` of `authentication.k8s.io/v1`. */
export const selfSubjectReviewKind: Kind = {
  group: "authentication.k8s.io",
  version: "v1",
  kind: "SelfSubjectReview",
  listKind: "",
  plural: "selfsubjectreviews",
  singular: "selfsubjectreview",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: selfSubjectReviewSchema,
};

/** Who the caller is. */
export const selfSubjectReviewStatusSchema: MessageSchema = {
  name: "io.k8s.api.authentication.v1.SelfSubjectReviewStatus",
  description: "Who the caller is.",
  fields: {
    userInfo: {
      number: 1,
      type: message(() => userInfoSchema),
      presence: "always",
      description: "The caller as the server sees it.",
    },
  },
};
