/** POST of a review, which is answered and never stored. */
import { partialObjectMetadataSchema } from "../../core/kube/kinds/mod.ts";
import { createManagedEndpoint } from "../../core/kube/managed_fields/endpoint.ts";
import { trackUpdate } from "../../core/kube/managed_fields/track_update.ts";
import { formatTime, type KubeObject } from "../../core/kube/meta.ts";
import type { RegistryDeps } from "../registry/registry.ts";
import type { Review } from "../registry/resource.ts";
import { withMeta } from "../registry/write.ts";
import type { Answer } from "./answer.ts";
import { decodeBody, readBody } from "./body.ts";
import { toWire } from "./encoding.ts";
import type { Exchange } from "./exchange.ts";
import { findHeader } from "./exchange.ts";
import { formatGoType } from "./go_names.ts";
import { bodyMediaType, otherFormError } from "./negotiation.ts";
import { parseWriteOptions } from "./options.ts";
import { representationFor } from "./read_handlers.ts";
import { respondWire } from "./respond.ts";
import { withNamespace } from "./sent_object.ts";

/** Answers a POST of a review with 201. Its metadata is handled like that of any other creation. */
export async function handleReview(deps: RegistryDeps, review: Review, exchange: Exchange): Promise<Answer> {
  const { kind } = review;
  const representation = representationFor(exchange, { table: false, partial: true, serverVersion: "v1" });
  const mediaType = bodyMediaType(findHeader(exchange, "content-type"));
  const bytes = await readBody(exchange);
  const options = parseWriteOptions("create", exchange.query, findHeader(exchange, "user-agent") ?? "");
  const now = deps.clock.now();
  const sent = decodeBody(exchange, kind, mediaType, bytes, options.fieldValidation);
  exchange.audit?.requestObject(kind, sent);
  const posted = inScope(exchange, sent);
  const author = { manager: options.fieldManager, time: formatTime(now) };
  const managedFields = trackUpdate(createManagedEndpoint(kind, "", []), undefined, posted, author);
  const { namespace } = exchange.info;
  const answer = await review.answer(withMeta(posted, { managedFields }), { user: exchange.user, namespace, now });
  if (representation.as === "PartialObjectMetadataList") throw otherFormError(representation.as, formatGoType(kind));
  if (representation.as !== "object") {
    const wire = {
      apiVersion: `meta.k8s.io/${representation.metaVersion}`,
      kind: "PartialObjectMetadata",
      schema: partialObjectMetadataSchema,
    };
    return respondWire(exchange, 201, wire, { metadata: answer.metadata }, representation);
  }
  return respondWire(exchange, 201, toWire(kind), answer, representation);
}

/** Removes system fields and sets the namespace of the request. Throws StatusError 400 for another namespace. */
function inScope({ info }: Exchange, posted: KubeObject): KubeObject {
  return withMeta(withNamespace(info, posted), {
    selfLink: undefined,
    uid: undefined,
    creationTimestamp: undefined,
    deletionTimestamp: undefined,
    deletionGracePeriodSeconds: undefined,
  });
}
