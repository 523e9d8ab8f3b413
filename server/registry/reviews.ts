/** The review kinds: questions about access and identity, which are answered but not stored. */
import { omitEmpty, omitUndefined } from "../../core/lib/record.ts";
import type {
  SelfSubjectRulesReview,
  SubjectAccessReview,
  SubjectAccessReviewSpec,
  SubjectAccessReviewStatus,
} from "../../core/kube/kinds/authorization_v1.ts";
import type { TokenReview } from "../../core/kube/kinds/authentication_v1.ts";
import type { FieldError } from "../../core/kube/status/field_error.ts";
import {
  localSubjectAccessReviewKind,
  selfSubjectAccessReviewKind,
  selfSubjectReviewKind,
  selfSubjectRulesReviewKind,
  subjectAccessReviewKind,
  tokenReviewKind,
} from "../../core/kube/kinds/mod.ts";
import { formatTime, type KubeObject } from "../../core/kube/meta.ts";
import { badRequest, invalidObject } from "../../core/kube/status/status.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import { validateLocalSubjectAccessReview, validateSubjectAccessReview } from "../../core/kube/rules/reviews.ts";
import { toReviewAttributes } from "../../core/rbac/attributes.ts";
import { type Authenticator, type AuthnResult, toWireUser } from "../authn/authentication.ts";
import { type Authorizer, joinErrors } from "../authz/authorizer.ts";
import type { Review, ReviewContext } from "./resource.ts";
import type { Kind } from "../../core/kube/schema.ts";

/** The dependencies of the reviews. */
export interface ReviewDeps {
  readonly authorizer: Authorizer;
  readonly authenticate: Authenticator;
  readonly apiAudiences: readonly string[];
}

/** Creates the handlers of all review kinds. */
export function createReviews(deps: ReviewDeps): readonly Review[] {
  return [
    createSelfSubjectReview(),
    createTokenReview(deps),
    createAccessReview(
      deps,
      localSubjectAccessReviewKind,
      validateLocalSubjectAccessReview,
      ({ spec }, { namespace }) => {
        // The message ends with the empty namespace (`pkg/registry/authorization/localsubjectaccessreview/rest.go`).
        if (namespace === "") throw badRequest("namespace is required on this type: ");
        return toSubject(spec);
      },
    ),
    createAccessReview(
      deps,
      selfSubjectAccessReviewKind,
      (review) => validateSubjectAccessReview(review, true),
      (_, { user }) => user,
    ),
    createSelfSubjectRulesReview(deps),
    createAccessReview(deps, subjectAccessReviewKind, validateSubjectAccessReview, ({ spec }) => toSubject(spec)),
  ];
}

function createSelfSubjectReview(): Review {
  return {
    kind: selfSubjectReviewKind,
    async answer(_object, { user, now }) {
      const status = { userInfo: toWireUser(user) };
      return { metadata: { creationTimestamp: formatTime(now) }, status } as KubeObject;
    },
  };
}

function createTokenReview(deps: ReviewDeps): Review {
  return {
    kind: tokenReviewKind,
    async answer(object, { annotate }) {
      const review = object as TokenReview;
      const { token = "", audiences = [] } = review.spec;
      if (token === "") throw badRequest("token is required for TokenReview in authentication");
      const wanted = audiences.length === 0 ? deps.apiAudiences : audiences;
      const result = await deps.authenticate({
        authorizationHeader: `Bearer ${token}`,
        peerCertificate: undefined,
        audiences: wanted,
      });
      if (result.kind === "user") {
        for (const [key, value] of Object.entries(result.auditAnnotations ?? {})) annotate(key, value);
      }
      return { ...review, status: createTokenStatus(review.status, result, wanted) };
    },
  };
}

/** Creates the status of a token review. Posted fields stay unless they are replaced. */
function createTokenStatus(
  posted: TokenReview["status"],
  result: AuthnResult,
  wanted: readonly string[],
): TokenReview["status"] {
  const { authenticated: _claimed, user, audiences, error } = posted;
  if (result.kind === "unauthorized") {
    const failure = result.failures.length === 0 ? error : joinErrors(result.failures);
    return { user, ...omitUndefined({ audiences, error: failure }) };
  }
  return {
    authenticated: true,
    user: toWireUser(result.user),
    // The anonymous user is valid for every audience.
    audiences: result.kind === "anonymous" ? wanted : result.audiences,
    ...omitUndefined({ error }),
  };
}

/** Creates the handler of one of the three access reviews; `getSubject` returns whose access is reviewed. */
function createAccessReview(
  { authorizer }: ReviewDeps,
  kind: Kind,
  validate: (review: SubjectAccessReview) => readonly FieldError[],
  getSubject: (review: SubjectAccessReview, context: ReviewContext) => UserInfo,
): Review {
  return {
    kind,
    async answer(object, context) {
      const review = object as SubjectAccessReview;
      const errors = validate(review);
      // The Kind is empty in these messages, as in kube-apiserver's internal objects.
      if (errors.length > 0) throw invalidObject({ group: "authorization.k8s.io", kind: "" }, "", errors);
      return { ...review, status: await decide(authorizer, getSubject(review, context), review.spec) };
    },
  };
}

function createSelfSubjectRulesReview(deps: ReviewDeps): Review {
  return {
    kind: selfSubjectRulesReviewKind,
    async answer(object, { user }) {
      const review = object as SelfSubjectRulesReview;
      const namespace = review.spec.namespace ?? "";
      if (namespace === "") throw badRequest("no namespace on request");
      return { metadata: {}, spec: {}, status: await deps.authorizer.rulesFor(user, namespace) } as KubeObject;
    },
  };
}

async function decide(
  authorizer: Authorizer,
  user: UserInfo,
  spec: SubjectAccessReviewSpec,
): Promise<SubjectAccessReviewStatus> {
  const { attributes, evaluationError } = toReviewAttributes(spec);
  const decision = await authorizer.authorize(user, attributes);
  return {
    allowed: decision.kind === "allow",
    ...(decision.kind === "deny" ? { denied: true } : {}),
    ...omitEmpty({ reason: decision.reason, evaluationError }),
  };
}

/** Creates the subject of a review with exactly the groups of the spec. */
function toSubject({ user = "", uid = "", groups = [], extra = {} }: SubjectAccessReviewSpec): UserInfo {
  return { username: user, uid, groups, extra };
}
