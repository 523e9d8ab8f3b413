/** The review kinds of `authentication.k8s.io/v1` (staging `k8s.io/api/authentication/v1/types.go`). */
import type { KubeObject } from "../meta.ts";
import type { Kind } from "../schema.ts";
import { clusterWide, describeVersion, namespaced, withoutList } from "./kind.ts";
import {
  always,
  atomic,
  BOOL,
  EXTRA,
  INT64,
  list,
  map,
  named,
  nullable,
  omitempty,
  required,
  STRING,
  TIME,
} from "./notation.ts";

const { kind, message } = describeVersion("authentication.k8s.io", "v1", "io.k8s.api.authentication.v1");

/** UserInfo of `authentication.k8s.io/v1` in its JSON form. */
export interface UserInfoWire {
  readonly username?: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

const userInfo = message<UserInfoWire>("UserInfo", "A user.", {
  username: omitempty(1, STRING, "Name of the user."),
  uid: omitempty(2, STRING, "Identifier of the user."),
  groups: omitempty(3, atomic(STRING), "Groups of the user."),
  extra: omitempty(4, EXTRA, "Further attributes of the user."),
});

const selfSubjectReviewStatus = message("SelfSubjectReviewStatus", "The identity of the caller.", {
  userInfo: always(1, userInfo, "The caller as the server sees it."),
});

/** A request to identify the caller; the result is in `status`. */
export interface SelfSubjectReview extends KubeObject {
  readonly status: { readonly userInfo?: UserInfoWire };
}

export const selfSubjectReviewKind: Kind = kind<SelfSubjectReview>(
  "SelfSubjectReview",
  withoutList(clusterWide()),
  "Asks who the caller is.",
  {
    status: always(2, selfSubjectReviewStatus, "The answer; filled by the server."),
  },
);

/** The object whose deletion invalidates a token. */
export interface BoundObjectReference {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly name?: string;
  readonly uid?: string;
}

const boundObject = message<BoundObjectReference>(
  "BoundObjectReference",
  "An object whose deletion invalidates a token.",
  {
    kind: omitempty(1, STRING, "Kind of the object, such as `Secret`."),
    apiVersion: omitempty(2, STRING, "API version of the object."),
    name: omitempty(3, STRING, "Name of the object."),
    uid: omitempty(4, STRING, "Uid of the object."),
  },
);

/** The properties that a client requests for a token. */
export interface TokenRequestSpec {
  /** Empty if the token is for the API server. */
  readonly audiences?: readonly string[] | null;
  readonly expirationSeconds?: number | null;
  readonly boundObjectRef?: BoundObjectReference | null;
  readonly attestations?: Readonly<Record<string, readonly string[]>>;
}

const tokenRequestSpec = message<TokenRequestSpec>("TokenRequestSpec", "The properties that a token should have.", {
  audiences: always(1, atomic(STRING), "Recipients, each of which can use it at the others; the API server if none."),
  expirationSeconds: nullable(4, INT64, "The requested lifetime in seconds; the server may choose another one."),
  boundObjectRef: nullable(3, boundObject, "The object whose deletion invalidates the token."),
  attestations: omitempty(5, named("map[string]v1.AttestationValue", map(list(STRING))), "Claims to attest."),
});

const tokenRequestStatus = message<TokenRequest["status"]>("TokenRequestStatus", "The issued token.", {
  token: always(1, STRING, "The opaque bearer token."),
  expirationTimestamp: always(2, TIME, "The time at which it expires."),
});

/** A request for a token of a service account; the answer has the token in its status. */
export interface TokenRequest extends KubeObject {
  readonly spec: TokenRequestSpec;
  readonly status: { readonly token: string; readonly expirationTimestamp: string | null };
}

/** Describes the kind `TokenRequest` of `authentication.k8s.io/v1`, which is posted to `serviceaccounts/token`. */
export const tokenRequestKind: Kind = kind<TokenRequest>(
  "TokenRequest",
  withoutList(namespaced()),
  "Requests a token of a service account.",
  {
    spec: always(2, tokenRequestSpec, "The properties that the token should have."),
    status: always(3, tokenRequestStatus, "The token; filled by the server."),
  },
);

const tokenReviewSpec = message("TokenReviewSpec", "The token to check.", {
  token: { ...omitempty(1, STRING, "The opaque bearer token."), required: true },
  audiences: omitempty(2, atomic(STRING), "Audiences; the token must be meant for at least one of them."),
});

const tokenReviewStatus = message("TokenReviewStatus", "The user that a token belongs to.", {
  authenticated: omitempty(1, BOOL, "True when the token is known."),
  user: always(2, userInfo, "The user it belongs to."),
  audiences: omitempty(4, atomic(STRING), "The requested audiences that the token is meant for."),
  error: omitempty(3, STRING, "Why the token could not be checked."),
});

/** A request to authenticate a token; the result is in `status`. */
export interface TokenReview extends KubeObject {
  readonly spec: { readonly token?: string; readonly audiences?: readonly string[] };
  readonly status: {
    readonly authenticated?: boolean;
    readonly user: UserInfoWire;
    readonly audiences?: readonly string[];
    readonly error?: string;
  };
}

export const tokenReviewKind: Kind = kind<TokenReview>(
  "TokenReview",
  withoutList(clusterWide()),
  "Asks which user a token belongs to.",
  {
    spec: required(2, tokenReviewSpec, "The token."),
    status: always(3, tokenReviewStatus, "The answer; filled by the server."),
  },
);
