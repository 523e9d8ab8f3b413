/** The review kinds: questions about access and identity, answered and forgotten. */
import type {
  SelfSubjectRulesReview,
  SubjectAccessReview,
  SubjectAccessReviewSpec,
  SubjectAccessReviewStatus,
  TokenReview,
  UserInfoWire,
} from "../../core/kube/authorization_v1.ts";
import type { FieldError } from "../../core/kube/field_error.ts";
import {
  localSubjectAccessReviewKind,
  selfSubjectAccessReviewKind,
  selfSubjectReviewKind,
  selfSubjectRulesReviewKind,
  subjectAccessReviewKind,
  tokenReviewKind,
} from "../../core/kube/kinds/mod.ts";
import { formatTime, type KubeObject } from "../../core/kube/meta.ts";
import { badRequest, invalidObject } from "../../core/kube/status.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import {
  validateLocalSubjectAccessReview,
  validateSelfSubjectAccessReview,
  validateSubjectAccessReview,
} from "../../core/kube/validation/reviews.ts";
import type { Attributes } from "../../core/rbac/attributes.ts";
import type { Authenticator } from "../authn/authentication.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import type { Review } from "./resource.ts";

/** Who answers the reviews. */
export interface ReviewDeps {
  readonly authorizer: Authorizer;
  readonly authenticate: Authenticator;
}

/** Every review kind. */
export function createReviews(deps: ReviewDeps): readonly Review[] {
  return [
    selfSubjectReview(),
    tokenReview(deps),
    localSubjectAccessReview(deps),
    selfSubjectAccessReview(deps),
    selfSubjectRulesReview(deps),
    subjectAccessReview(deps),
  ];
}

function selfSubjectReview(): Review {
  return {
    kind: selfSubjectReviewKind,
    answer(_object, { user, now }) {
      return Promise.resolve<KubeObject>(
        {
          metadata: { creationTimestamp: formatTime(now) },
          status: { userInfo: wireUser(user) },
        } as KubeObject,
      );
    },
  };
}

function tokenReview(deps: ReviewDeps): Review {
  return {
    kind: tokenReviewKind,
    async answer(object) {
      const review = object as TokenReview;
      const token = review.spec.token ?? "";
      if (token === "") throw badRequest("token is required for TokenReview in authentication");
      const result = await deps.authenticate({ authorizationHeader: `Bearer ${token}`, peerCertificate: undefined });
      const status: TokenReview["status"] = result.kind === "user"
        ? { authenticated: true, user: wireUser(result.user) }
        : { user: {}, error: "invalid bearer token" };
      return { ...review, status };
    },
  };
}

function subjectAccessReview(deps: ReviewDeps): Review {
  return {
    kind: subjectAccessReviewKind,
    async answer(object) {
      const review = object as SubjectAccessReview;
      refuse(validateSubjectAccessReview(review));
      return { ...review, status: await decide(deps.authorizer, subjectOf(review.spec), review.spec) };
    },
  };
}

function localSubjectAccessReview(deps: ReviewDeps): Review {
  return {
    kind: localSubjectAccessReviewKind,
    async answer(object, { namespace }) {
      const review = object as SubjectAccessReview;
      const named = review.metadata.namespace ?? "";
      if (named !== "" && named !== namespace) {
        throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
      }
      const scoped: SubjectAccessReview = { ...review, metadata: { ...review.metadata, namespace } };
      refuse(validateLocalSubjectAccessReview(scoped));
      return { ...scoped, status: await decide(deps.authorizer, subjectOf(review.spec), review.spec) };
    },
  };
}

function selfSubjectAccessReview(deps: ReviewDeps): Review {
  return {
    kind: selfSubjectAccessReviewKind,
    async answer(object, { user }) {
      const review = object as SubjectAccessReview;
      refuse(validateSelfSubjectAccessReview(review));
      return { ...review, status: await decide(deps.authorizer, user, review.spec) };
    },
  };
}

function selfSubjectRulesReview(deps: ReviewDeps): Review {
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
  const decision = await authorizer.authorize(user, attributesOf(spec));
  return {
    allowed: decision.kind === "allow",
    ...(decision.kind === "deny" ? { denied: true } : {}),
    ...(decision.reason === "" ? {} : { reason: decision.reason }),
  };
}

function attributesOf(spec: SubjectAccessReviewSpec): Attributes {
  const path = spec.nonResourceAttributes;
  if (path !== undefined) return { kind: "path", verb: path.verb ?? "", path: path.path ?? "" };
  const resource = spec.resourceAttributes ?? {};
  return {
    kind: "resource",
    verb: resource.verb ?? "",
    apiGroup: resource.group ?? "",
    apiVersion: resource.version ?? "",
    resource: resource.resource ?? "",
    subresource: resource.subresource ?? "",
    name: resource.name ?? "",
    namespace: resource.namespace ?? "",
  };
}

/** Groups are taken as given: nothing is added to a subject that is only asked about. */
function subjectOf(spec: SubjectAccessReviewSpec): UserInfo {
  return {
    username: spec.user ?? "",
    uid: spec.uid ?? "",
    groups: spec.groups ?? [],
    extra: spec.extra ?? {},
  };
}

function wireUser(user: UserInfo): UserInfoWire {
  return {
    ...(user.username === "" ? {} : { username: user.username }),
    ...(user.uid === "" ? {} : { uid: user.uid }),
    ...(user.groups.length === 0 ? {} : { groups: user.groups }),
    ...(Object.keys(user.extra).length === 0 ? {} : { extra: user.extra }),
  };
}

/** The Kind is empty in these messages, as in kube-apiserver's internal objects. */
function refuse(errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalidObject({ group: "authorization.k8s.io", kind: "" }, "", [...errors]);
}
