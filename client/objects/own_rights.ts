/** Questions of a client about itself: its user name, and the rights that it lacks. */
import { isAppError } from "../../core/errors.ts";
import type {
  ResourceAttributesSpec,
  SelfSubjectReview,
  SubjectAccessReview,
} from "../../core/kube/authorization_v1.ts";
import { selfSubjectAccessReviewKind, selfSubjectReviewKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { formatApiVersion, formatCollectionPath, type Kind } from "../../core/kube/schema.ts";
import type { NeededRight } from "../../core/rbac/needed_rights.ts";
import type { ApiClient } from "./api.ts";

/** Finds the user name of the client; undefined when the server cannot report it, as before Kubernetes 1.28. */
export async function findOwnUsername(api: ApiClient, signal: AbortSignal): Promise<string | undefined> {
  try {
    const review = await post<SelfSubjectReview>(api, selfSubjectReviewKind, {}, signal);
    return review.status.userInfo?.username;
  } catch (error) {
    if (!isAppError(error, "not_found", "access_denied", "invalid")) throw error;
    return undefined;
  }
}

/** Lists the rights that the user lacks, by SelfSubjectAccessReviews, which every user may create. */
export async function findMissingRights(
  api: ApiClient,
  rights: readonly NeededRight[],
  signal: AbortSignal,
): Promise<readonly NeededRight[]> {
  const missing: NeededRight[] = [];
  for (const right of rights) {
    const answers = await Promise.all(right.anyOf.map((attributes) => isAllowed(api, attributes, signal)));
    if (!answers.includes(true)) missing.push(right);
  }
  return missing;
}

async function isAllowed(
  api: ApiClient,
  resourceAttributes: ResourceAttributesSpec,
  signal: AbortSignal,
): Promise<boolean> {
  const spec = { resourceAttributes };
  const review = await post<SubjectAccessReview>(api, selfSubjectAccessReviewKind, { spec }, signal);
  return review.status?.allowed === true && review.status.denied !== true;
}

async function post<T extends KubeObject>(api: ApiClient, kind: Kind, more: object, signal: AbortSignal): Promise<T> {
  const body = { apiVersion: formatApiVersion(kind), kind: kind.kind, metadata: {}, ...more };
  return await api.requestObject<T>({ method: "POST", path: formatCollectionPath(kind), body }, signal);
}
