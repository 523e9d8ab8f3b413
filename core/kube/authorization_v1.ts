/** The review kinds (staging `k8s.io/api/authorization/v1/types.go`, `authentication/v1/types.go`). */
import type { KubeObject } from "./meta.ts";

/** Attributes of a resource request; every field may be empty. */
export interface ResourceAttributesSpec {
  readonly namespace?: string;
  readonly verb?: string;
  readonly group?: string;
  readonly version?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly name?: string;
  readonly fieldSelector?: SelectorAttributes;
  readonly labelSelector?: SelectorAttributes;
}

/** Selectors of a list, as part of what is authorized. */
export interface SelectorAttributes {
  readonly rawSelector?: string;
  readonly requirements?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

/** Attributes of a request for a path that is no resource. */
export interface NonResourceAttributesSpec {
  readonly path?: string;
  readonly verb?: string;
}

/** `spec` of the access reviews; the self form has no user. */
export interface SubjectAccessReviewSpec {
  readonly resourceAttributes?: ResourceAttributesSpec;
  readonly nonResourceAttributes?: NonResourceAttributesSpec;
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  readonly uid?: string;
}

/** `status` of the access reviews. */
export interface SubjectAccessReviewStatus {
  readonly allowed: boolean;
  readonly denied?: boolean;
  readonly reason?: string;
  readonly evaluationError?: string;
}

/** A SubjectAccessReview, a LocalSubjectAccessReview or a SelfSubjectAccessReview. */
export interface SubjectAccessReview extends KubeObject {
  readonly spec: SubjectAccessReviewSpec;
  readonly status: SubjectAccessReviewStatus;
}

/** A request to list everything that the caller may do in a namespace; the result is in `status`. */
export interface SelfSubjectRulesReview extends KubeObject {
  readonly spec: { readonly namespace?: string };
  readonly status: SubjectRulesReviewStatus;
}

/** Everything a user may do in a namespace. */
export interface SubjectRulesReviewStatus {
  readonly resourceRules: readonly ResourceRule[];
  readonly nonResourceRules: readonly NonResourceRule[];
  readonly incomplete: boolean;
  readonly evaluationError?: string;
}

/** Verbs that are allowed on resources. */
export interface ResourceRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** Verbs that are allowed on paths. */
export interface NonResourceRule {
  readonly verbs: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

/** UserInfo of `authentication.k8s.io/v1` in its JSON form. */
export interface UserInfoWire {
  readonly username?: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** A request to identify the caller; the result is in `status`. */
export interface SelfSubjectReview extends KubeObject {
  readonly status: { readonly userInfo?: UserInfoWire };
}

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
