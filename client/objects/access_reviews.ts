/** Asks a remote API what a subject may do, and which rights the client itself has. */
import type {
  ResourceAttributesSpec,
  SubjectAccessReview,
  SubjectAccessReviewSpec,
} from "../../core/kube/kinds/authorization_v1.ts";
import type { SelfSubjectReview, UserInfoWire } from "../../core/kube/kinds/authentication_v1.ts";
import {
  selfSubjectAccessReviewKind,
  selfSubjectReviewKind,
  subjectAccessReviewKind,
} from "../../core/kube/kinds/mod.ts";
import { formatApiVersion, formatCollectionPath, type Kind } from "../../core/kube/schema.ts";
import type { AccessReviewer, Clock, Transport } from "../../core/ports.ts";
import { type ApiClient, createApiClient } from "./api.ts";
import { isAppError } from "../../core/errors.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { NeededRight } from "../../core/rbac/manifest.ts";

/**
 * Creates an AccessReviewer that posts SubjectAccessReviews; the caller needs `create` on them. Equal questions share
 * one request while it is in flight, so nodes that bootstrap with the same token at the same time cost one request. The
 * answer may therefore be slightly older than the call.
 */
export function createAccessReviewer(transport: Transport, options: { readonly clock: Clock }): AccessReviewer {
  const api = createApiClient(transport, options);
  // Keyed by signal, so that an abort cancels only the questions of its callers.
  const inFlight = new WeakMap<AbortSignal, Map<string, Promise<boolean>>>();

  async function ask(spec: SubjectAccessReviewSpec, signal: AbortSignal): Promise<boolean> {
    return isAllowing(await postReview<SubjectAccessReview>(api, subjectAccessReviewKind, { spec }, signal));
  }

  return {
    isAllowed(spec, signal) {
      const questions = inFlight.get(signal) ?? new Map<string, Promise<boolean>>();
      inFlight.set(signal, questions);
      const key = JSON.stringify(spec);
      const known = questions.get(key);
      if (known !== undefined) return known;
      const answer = ask(spec, signal).finally(() => questions.delete(key));
      questions.set(key, answer);
      return answer;
    },
  };
}

/** Finds the user name of the client; undefined when the server cannot report it, as before Kubernetes 1.28. */
export async function findOwnUsername(api: ApiClient, signal: AbortSignal): Promise<string | undefined> {
  return (await findOwnUser(api, signal))?.username;
}

/** Finds the user of the client, with the groups; undefined when the server cannot report it. */
export async function findOwnUser(api: ApiClient, signal: AbortSignal): Promise<UserInfoWire | undefined> {
  try {
    const review = await postReview<SelfSubjectReview>(api, selfSubjectReviewKind, {}, signal);
    return review.status.userInfo;
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
    const answers = await Promise.all(right.anyOf.map((attributes) => hasRight(api, attributes, signal)));
    if (!answers.includes(true)) missing.push(right);
  }
  return missing;
}

async function hasRight(
  api: ApiClient,
  resourceAttributes: ResourceAttributesSpec,
  signal: AbortSignal,
): Promise<boolean> {
  const spec = { resourceAttributes };
  return isAllowing(await postReview<SubjectAccessReview>(api, selfSubjectAccessReviewKind, { spec }, signal));
}

function isAllowing({ status }: SubjectAccessReview): boolean {
  return status?.allowed === true && status.denied !== true;
}

/** Posts a review, which the API answers without storing it. */
export async function postReview<T extends KubeObject>(
  api: ApiClient,
  kind: Kind,
  more: object,
  signal: AbortSignal,
): Promise<T> {
  const body = { apiVersion: formatApiVersion(kind), kind: kind.kind, metadata: {}, ...more };
  return await api.requestObject<T>({ method: "POST", path: formatCollectionPath(kind), body }, signal);
}
