/** Asks a distant API whether somebody may do something. */
import type { SubjectAccessReview, SubjectAccessReviewSpec } from "../core/kube/authorization_v1.ts";
import { subjectAccessReviewKind } from "../core/kube/kinds/mod.ts";
import { collectionPath, formatApiVersion } from "../core/kube/schema.ts";
import type { AccessReviewer, Clock, Transport } from "../core/ports.ts";
import { createApiClient } from "./api.ts";

/**
 * An AccessReviewer that posts SubjectAccessReviews; the caller needs `create` on them. Who asks what is being asked
 * already hears the same answer, which may be from a moment before the call: the nodes of one token that come together
 * make one question.
 */
export function createAccessReviewer(transport: Transport, options: { readonly clock: Clock }): AccessReviewer {
  const api = createApiClient(transport, options);
  // Whoever gives up gives up for those who share the signal.
  const underway = new WeakMap<AbortSignal, Map<string, Promise<boolean>>>();

  async function ask(spec: SubjectAccessReviewSpec, signal: AbortSignal): Promise<boolean> {
    const body = {
      apiVersion: formatApiVersion(subjectAccessReviewKind),
      kind: subjectAccessReviewKind.kind,
      metadata: {},
      spec,
    };
    const path = collectionPath(subjectAccessReviewKind);
    const review = await api.requestObject<SubjectAccessReview>({ method: "POST", path, body }, signal);
    return review.status?.allowed === true && review.status.denied !== true;
  }

  return {
    isAllowed(spec, signal) {
      const asked = underway.get(signal) ?? new Map<string, Promise<boolean>>();
      underway.set(signal, asked);
      const key = JSON.stringify(spec);
      const known = asked.get(key);
      if (known !== undefined) return known;
      const answer = ask(spec, signal).finally(() => asked.delete(key));
      asked.set(key, answer);
      return answer;
    },
  };
}
