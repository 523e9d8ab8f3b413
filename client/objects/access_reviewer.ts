/** Authorization questions to a remote API. */
import type { SubjectAccessReview, SubjectAccessReviewSpec } from "../../core/kube/authorization_v1.ts";
import { subjectAccessReviewKind } from "../../core/kube/kinds/mod.ts";
import { formatApiVersion, formatCollectionPath } from "../../core/kube/schema.ts";
import type { AccessReviewer, Clock, Transport } from "../../core/ports.ts";
import { createApiClient } from "./api.ts";

/**
 * Creates an AccessReviewer that posts SubjectAccessReviews; the caller needs `create` on them. Equal questions share
 * one request while it is in flight, so nodes that bootstrap with the same token at the same time cost one request. The
 * answer may therefore be slightly older than the call.
 */
export function createAccessReviewer(transport: Transport, options: { readonly clock: Clock }): AccessReviewer {
  const api = createApiClient(transport, options);
  // Keyed by signal, so that an abort cancels only the questions of its own callers.
  const inFlight = new WeakMap<AbortSignal, Map<string, Promise<boolean>>>();

  async function ask(spec: SubjectAccessReviewSpec, signal: AbortSignal): Promise<boolean> {
    const body = {
      apiVersion: formatApiVersion(subjectAccessReviewKind),
      kind: subjectAccessReviewKind.kind,
      metadata: {},
      spec,
    };
    const path = formatCollectionPath(subjectAccessReviewKind);
    const review = await api.requestObject<SubjectAccessReview>({ method: "POST", path, body }, signal);
    return review.status?.allowed === true && review.status.denied !== true;
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
