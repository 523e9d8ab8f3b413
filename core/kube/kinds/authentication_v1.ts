/** The review kinds of `authentication.k8s.io/v1` (staging `k8s.io/api/authentication/v1/types.go`). */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { BOOL, INT64, list, map, message, STRING, TIME } from "./fields.ts";
import { METADATA } from "./object_meta.ts";

const selfSubjectReviewSchema: ObjectSchema = {
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

/** Describes the kind `SelfSubjectReview` of `authentication.k8s.io/v1` for all codecs. */
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

const selfSubjectReviewStatusSchema: MessageSchema = {
  name: "io.k8s.api.authentication.v1.SelfSubjectReviewStatus",
  description: "The identity of the caller.",
  fields: {
    userInfo: {
      number: 1,
      type: message(() => userInfoSchema),
      presence: "always",
      description: "The caller as the server sees it.",
    },
  },
};

const tokenRequestSchema: ObjectSchema = {
  name: "io.k8s.api.authentication.v1.TokenRequest",
  description: "Requests a token of a service account.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => tokenRequestSpecSchema),
      presence: "always",
      description: "The properties that the token should have.",
    },
    status: {
      number: 3,
      type: message(() => tokenRequestStatusSchema),
      presence: "always",
      description: "The token; filled by the server.",
    },
  },
};

/** Describes the kind `TokenRequest` of `authentication.k8s.io/v1`, which is posted to `serviceaccounts/token`. */
export const tokenRequestKind: Kind = {
  group: "authentication.k8s.io",
  version: "v1",
  kind: "TokenRequest",
  listKind: "",
  plural: "tokenrequests",
  singular: "tokenrequest",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: tokenRequestSchema,
};

const tokenRequestSpecSchema: MessageSchema = {
  name: "io.k8s.api.authentication.v1.TokenRequestSpec",
  description: "The properties that a token should have.",
  fields: {
    audiences: {
      number: 1,
      type: list(STRING),
      presence: "always",
      listType: "atomic",
      description: "The recipients of the token, each of which may use it at the others; by default the API server.",
    },
    expirationSeconds: {
      number: 4,
      type: INT64,
      presence: "nullable",
      description: "The requested lifetime; the token may have another one.",
    },
    boundObjectRef: {
      number: 3,
      type: message(() => boundObjectReferenceSchema),
      presence: "nullable",
      description: "The object with whose deletion the token ends.",
    },
    attestations: {
      number: 5,
      type: map(list(STRING)),
      presence: "omitempty",
      goType: "map[string]v1.AttestationValue",
      description: "Claims that the server should attest.",
    },
  },
};

const tokenRequestStatusSchema: MessageSchema = {
  name: "io.k8s.api.authentication.v1.TokenRequestStatus",
  description: "The issued token.",
  fields: {
    token: { number: 1, type: STRING, presence: "always", description: "The opaque bearer token." },
    expirationTimestamp: { number: 2, type: TIME, presence: "always", description: "The time at which it expires." },
  },
};

const boundObjectReferenceSchema: MessageSchema = {
  name: "io.k8s.api.authentication.v1.BoundObjectReference",
  description: "The object with whose deletion a token ends.",
  fields: {
    kind: { number: 1, type: STRING, presence: "omitempty", description: "Kind of the object, such as `Secret`." },
    apiVersion: { number: 2, type: STRING, presence: "omitempty", description: "API version of the object." },
    name: { number: 3, type: STRING, presence: "omitempty", description: "Name of the object." },
    uid: { number: 4, type: STRING, presence: "omitempty", description: "Uid of the object." },
  },
};

const tokenReviewSchema: ObjectSchema = {
  name: "io.k8s.api.authentication.v1.TokenReview",
  description: "Asks which user a token belongs to.",
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

/** Describes the kind `TokenReview` of `authentication.k8s.io/v1` for all codecs. */
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

const tokenReviewSpecSchema: MessageSchema = {
  name: "io.k8s.api.authentication.v1.TokenReviewSpec",
  description: "The token to check.",
  fields: {
    token: { number: 1, type: STRING, presence: "omitempty", required: true, description: "The opaque bearer token." },
    audiences: {
      number: 2,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Audiences of which the token must be meant for at least one.",
    },
  },
};

const tokenReviewStatusSchema: MessageSchema = {
  name: "io.k8s.api.authentication.v1.TokenReviewStatus",
  description: "The user that a token belongs to.",
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
      description: "Those of the requested audiences that the token is meant for.",
    },
    error: { number: 3, type: STRING, presence: "omitempty", description: "Why the token could not be checked." },
  },
};

const userInfoSchema: MessageSchema = {
  name: "io.k8s.api.authentication.v1.UserInfo",
  description: "A user.",
  fields: {
    username: { number: 1, type: STRING, presence: "omitempty", description: "Name of the user." },
    uid: { number: 2, type: STRING, presence: "omitempty", description: "Identifier of the user." },
    groups: {
      number: 3,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Groups of the user.",
    },
    extra: {
      number: 4,
      type: map(list(STRING)),
      presence: "omitempty",
      goType: "map[string]v1.ExtraValue",
      description: "Further attributes of the user.",
    },
  },
};
