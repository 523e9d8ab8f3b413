/** TokenReview (staging `k8s.io/api/authentication/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { BOOL, list, message, STRING } from "./_fields.ts";
import { METADATA } from "./_object_meta.ts";
import { userInfoSchema } from "./_user_info.ts";

/** Asks whom a token belongs to. */
export const tokenReviewSchema: ObjectSchema = {
  name: "io.k8s.api.authentication.v1.TokenReview",
  description: "Asks whom a token belongs to.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => tokenReviewSpecSchema),
      presence: "always",
      required: true,
      description: "The token.",
    },
    status: {
      number: 3,
      type: message(() => tokenReviewStatusSchema),
      presence: "always",
      description: "The answer; filled by the server.",
    },
  },
};

/** `TokenReview` of `authentication.k8s.io/v1`. */
export const tokenReviewKind: Kind = {
  group: "authentication.k8s.io",
  version: "v1",
  kind: "TokenReview",
  listKind: "",
  plural: "tokenreviews",
  singular: "tokenreview",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: tokenReviewSchema,
};

/** A token to look at. */
export const tokenReviewSpecSchema: MessageSchema = {
  name: "io.k8s.api.authentication.v1.TokenReviewSpec",
  description: "A token to look at.",
  fields: {
    token: { number: 1, type: STRING, presence: "omitempty", required: true, description: "The opaque bearer token." },
    audiences: {
      number: 2,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Audiences one of which the token must be meant for.",
    },
  },
};

/** Whom a token belongs to. */
export const tokenReviewStatusSchema: MessageSchema = {
  name: "io.k8s.api.authentication.v1.TokenReviewStatus",
  description: "Whom a token belongs to.",
  fields: {
    authenticated: { number: 1, type: BOOL, presence: "omitempty", description: "True when the token is known." },
    user: {
      number: 2,
      type: message(() => userInfoSchema),
      presence: "always",
      description: "The user it belongs to.",
    },
    audiences: {
      number: 4,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Audiences it is meant for, out of those asked.",
    },
    error: { number: 3, type: STRING, presence: "omitempty", description: "Why the token could not be checked." },
  },
};
