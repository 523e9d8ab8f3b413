/** Asks a distant API whether somebody may do something. */
import type { SubjectAccessReview } from "../core/kube/authorization_v1.ts";
import { subjectAccessReviewKind } from "../core/kube/kinds/mod.ts";
import { apiVersionOf, collectionPath } from "../core/kube/schema.ts";
import type { AccessReviewer, Clock, Transport } from "../core/ports.ts";
import { createApi } from "./api.ts";

/** An AccessReviewer that posts SubjectAccessReviews; the caller needs `create` on them. */
export function createAccessReviewer(transport: Transport, options: { readonly clock: Clock }): AccessReviewer {
  const api = createApi(transport, options);
  return {
    async isAllowed(spec, signal) {
      const body = {
        apiVersion: apiVersionOf(subjectAccessReviewKind),
        kind: subjectAccessReviewKind.kind,
        metadata: {},
        spec,
      };
      const path = collectionPath(subjectAccessReviewKind);
      const review = await api.requestObject<SubjectAccessReview>({ method: "POST", path, body }, signal);
      return review.status?.allowed === true && review.status.denied !== true;
    },
  };
}
