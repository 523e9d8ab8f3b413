/** The review kinds of `authorization.k8s.io/v1` (staging `k8s.io/api/authorization/v1/types.go`). */
import type { KubeObject, SelectorRequirement } from "../meta.ts";
import type { Kind } from "../schema.ts";
import { clusterWide, describeVersion, namespaced, withoutList } from "./kind.ts";
import { fieldSelectorRequirementSchema, labelSelectorRequirementSchema } from "./meta_v1.ts";
import { always, atomic, BOOL, EXTRA, omitempty, optional, required, STRING } from "./notation.ts";

/** A selector of the request to authorize, raw or parsed. */
export interface SelectorAttributes {
  readonly rawSelector?: string;
  readonly requirements?: readonly SelectorRequirement[];
}

const { kind, message } = describeVersion("authorization.k8s.io", "v1", "io.k8s.api.authorization.v1");

const fieldSelectorAttributes = message("FieldSelectorAttributes", "A field selector, raw or parsed.", {
  rawSelector: omitempty(1, STRING, "The selector as text."),
  requirements: omitempty(2, atomic(fieldSelectorRequirementSchema), "The selector as conditions."),
});

const labelSelectorAttributes = message("LabelSelectorAttributes", "A label selector, raw or parsed.", {
  rawSelector: omitempty(1, STRING, "The selector as text."),
  requirements: omitempty(2, atomic(labelSelectorRequirementSchema), "The selector as conditions."),
});

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

const resourceAttributes = message<ResourceAttributesSpec>("ResourceAttributes", "A request for a resource.", {
  namespace: omitempty(1, STRING, "Namespace of the request; empty for cluster-wide ones or all namespaces."),
  verb: omitempty(2, STRING, "Verb, such as get or create; * means all."),
  group: omitempty(3, STRING, "API group; * means all."),
  version: omitempty(4, STRING, "API version; * means all."),
  resource: omitempty(5, STRING, "Resource; * means all."),
  subresource: omitempty(6, STRING, "Subresource; empty for none."),
  name: omitempty(7, STRING, "Name of the object; empty means all."),
  fieldSelector: optional(8, fieldSelectorAttributes, "Field selector that limits the request."),
  labelSelector: optional(9, labelSelectorAttributes, "Label selector that limits the request."),
});

/** Attributes of a request for a path that is not a resource. */
export interface NonResourceAttributesSpec {
  readonly path?: string;
  readonly verb?: string;
}

const nonResourceAttributes = message<NonResourceAttributesSpec>("NonResourceAttributes", "A request for a path.", {
  path: omitempty(1, STRING, "The path."),
  verb: omitempty(2, STRING, "HTTP method in lower case."),
});

/** `spec` of the access reviews; the self form has no user. */
export interface SubjectAccessReviewSpec {
  readonly resourceAttributes?: ResourceAttributesSpec;
  readonly nonResourceAttributes?: NonResourceAttributesSpec;
  readonly user?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
  readonly uid?: string;
}

const reviewSpec = message<SubjectAccessReviewSpec>(
  "SubjectAccessReviewSpec",
  "A question about a user; exactly one kind of attributes is given.",
  {
    resourceAttributes: optional(1, resourceAttributes, "A request for a resource."),
    nonResourceAttributes: optional(2, nonResourceAttributes, "A request for a path."),
    user: omitempty(3, STRING, "User whose access is checked."),
    groups: omitempty(4, atomic(STRING), "Groups of that user."),
    extra: omitempty(5, EXTRA, "Further attributes of that user."),
    uid: omitempty(6, STRING, "Identifier of that user."),
  },
);

export interface SubjectAccessReviewStatus {
  readonly allowed: boolean;
  readonly denied?: boolean;
  readonly reason?: string;
  readonly evaluationError?: string;
}

const reviewStatus = message<SubjectAccessReviewStatus>("SubjectAccessReviewStatus", "The answer to the question.", {
  allowed: required(1, BOOL, "True when an authorizer allows the request."),
  denied: omitempty(4, BOOL, "True when an authorizer forbids the request explicitly."),
  reason: omitempty(2, STRING, "The reason for the answer, where it is known."),
  evaluationError: omitempty(3, STRING, "Errors that occurred while the request was evaluated."),
});

/** A SubjectAccessReview, a LocalSubjectAccessReview or a SelfSubjectAccessReview. */
export interface SubjectAccessReview extends KubeObject {
  readonly spec: SubjectAccessReviewSpec;
  readonly status: SubjectAccessReviewStatus;
}

export const subjectAccessReviewKind: Kind = kind<SubjectAccessReview>(
  "SubjectAccessReview",
  withoutList(clusterWide()),
  "Asks whether a given user may do something.",
  {
    spec: required(2, reviewSpec, "The question."),
    status: always(3, reviewStatus, "The answer; filled by the server."),
  },
);

export const localSubjectAccessReviewKind: Kind = kind(
  "LocalSubjectAccessReview",
  withoutList(namespaced()),
  "Asks whether a given user may do something in one namespace.",
  {
    spec: required(2, reviewSpec, "The question; its namespace must be that of the review."),
    status: always(3, reviewStatus, "The answer; filled by the server."),
  },
);

const selfReviewSpec = message(
  "SelfSubjectAccessReviewSpec",
  "A question about the caller; exactly one kind of attributes is given.",
  {
    resourceAttributes: optional(1, resourceAttributes, "A request for a resource."),
    nonResourceAttributes: optional(2, nonResourceAttributes, "A request for a path."),
  },
);

export const selfSubjectAccessReviewKind: Kind = kind(
  "SelfSubjectAccessReview",
  withoutList(clusterWide()),
  "Asks whether the caller may do something.",
  {
    spec: required(2, selfReviewSpec, "The question."),
    status: always(3, reviewStatus, "The answer; filled by the server."),
  },
);

const selfSubjectRulesReviewSpec = message("SelfSubjectRulesReviewSpec", "The namespace whose rules are listed.", {
  namespace: omitempty(1, STRING, "The namespace; required."),
});

/** Verbs that are allowed on resources. */
export interface ResourceRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
}

const resourceRule = message<ResourceRule>("ResourceRule", "Verbs allowed on resources.", {
  verbs: required(1, atomic(STRING), "Verbs that are allowed; * means all."),
  apiGroups: omitempty(2, atomic(STRING), "Groups of the resources; * means all."),
  resources: omitempty(3, atomic(STRING), "Resources; * means all."),
  resourceNames: omitempty(4, atomic(STRING), "Names the rule is restricted to."),
});

/** Verbs that are allowed on paths. */
export interface NonResourceRule {
  readonly verbs: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

const nonResourceRule = message<NonResourceRule>("NonResourceRule", "Verbs allowed on paths.", {
  verbs: required(1, atomic(STRING), "Verbs that are allowed; * means all."),
  nonResourceURLs: omitempty(2, atomic(STRING), "The paths; the last segment may be *."),
});

/** Everything a user may do in a namespace. */
export interface SubjectRulesReviewStatus {
  readonly resourceRules: readonly ResourceRule[];
  readonly nonResourceRules: readonly NonResourceRule[];
  readonly incomplete: boolean;
  readonly evaluationError?: string;
}

const rulesReviewStatus = message<SubjectRulesReviewStatus>("SubjectRulesReviewStatus", "What the user may do.", {
  resourceRules: required(1, atomic(resourceRule), "Allowed requests for resources, in no order."),
  nonResourceRules: required(2, atomic(nonResourceRule), "Allowed requests for paths, in no order."),
  incomplete: required(3, BOOL, "True when rules may be missing."),
  evaluationError: omitempty(4, STRING, "Errors that occurred while the rules were collected."),
});

/** A request to list everything that the caller may do in a namespace; the result is in `status`. */
export interface SelfSubjectRulesReview extends KubeObject {
  readonly spec: { readonly namespace?: string };
  readonly status: SubjectRulesReviewStatus;
}

export const selfSubjectRulesReviewKind: Kind = kind<SelfSubjectRulesReview>(
  "SelfSubjectRulesReview",
  withoutList(clusterWide()),
  "Asks for everything the caller may do in a namespace.",
  {
    spec: required(2, selfSubjectRulesReviewSpec, "The question."),
    status: always(3, rulesReviewStatus, "The answer; filled by the server."),
  },
);
