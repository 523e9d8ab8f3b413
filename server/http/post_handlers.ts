/** The handlers of POSTs that are answered and not stored: reviews, and subresources such as `serviceaccounts/token`. */
import { createManagedEndpoint } from "../../core/kube/apply/endpoint.ts";
import { trackUpdate } from "../../core/kube/apply/track_update.ts";
import { formatTime, type KubeObject } from "../../core/kube/meta.ts";
import type { Kind } from "../../core/kube/schema.ts";
import { forbidden } from "../../core/kube/status/status.ts";
import type { RegistryDeps, Target } from "../registry/registry.ts";
import type { PostedSubresource, Review } from "../registry/resource.ts";
import { withMeta } from "../registry/write.ts";
import type { Answer } from "./answer.ts";
import { decodeBody, readSent } from "./body.ts";
import { type Exchange, findHeader } from "./exchange.ts";
import { formatGoType } from "./known_kinds.ts";
import { createOtherFormError, parseBodyMediaType, type Representation } from "./negotiation.ts";
import { parseWriteOptions } from "./options.ts";
import { chooseRepresentation, respondPartial } from "./read_handlers.ts";
import { respondWire, toWire } from "./respond.ts";
import { withNamespace, withoutDuplicateOwners, withoutSystemFields } from "./write_handlers.ts";

/** Answers a POST of a review with 201. Its metadata is handled like that of any other creation. */
export async function handleReview(deps: RegistryDeps, review: Review, exchange: Exchange): Promise<Answer> {
  const { kind } = review;
  const { object: sent, representation, fieldManager } = await readPosted(exchange, kind, (object) => object);
  const { user, info: { namespace }, audit } = exchange;
  const placed = withoutSystemFields(withNamespace({ namespace }, sent));
  const now = deps.clock.now();
  const answer = await review.answer(track(placed, kind, "", fieldManager, now), {
    user,
    namespace,
    now,
    annotate: (key, value) => audit?.annotate({ [key]: value }),
  });
  return respondPosted(exchange, kind, answer, representation);
}

/** Answers a POST to a subresource with 201. The client may name the uid of the object that it means. */
export async function handlePosted(
  deps: RegistryDeps,
  target: Target,
  posted: PostedSubresource,
  exchange: Exchange,
): Promise<Answer> {
  const { kind } = posted;
  const read = await readPosted(exchange, kind, (object) => posted.applyDefaults(object));
  const placed = withoutDuplicateOwners(exchange, withNamespace(target, read.object), false);
  const now = deps.clock.now();
  const tracked = track(placed, kind, posted.name, read.fieldManager, now);
  const request = {
    operation: "CREATE" as const,
    kind: target.resource.kind,
    subresource: posted.name,
    name: target.name,
    namespace: target.namespace,
    user: target.user,
    onWarning: (text: string) => exchange.warnings.add(text),
  };
  const admitted = await deps.admission.mutate({ ...request, object: tracked });
  if ("message" in admitted) throw forbidden(target.resource.kind, target.name, admitted.message);
  const { user, name, namespace } = target;
  const answer = await posted.answer(admitted.object, {
    user,
    name,
    namespace,
    now,
    async validate(object) {
      const refusal = await deps.admission.validate({ ...request, object });
      if (refusal !== undefined) throw forbidden(target.resource.kind, target.name, refusal.message);
    },
    warn: (text) => exchange.warnings.add(text),
    annotate: (key, value) => exchange.audit?.annotate({ [key]: value }),
  });
  return respondPosted(exchange, kind, answer, read.representation);
}

async function readPosted(exchange: Exchange, kind: Kind, applyDefaults: (object: KubeObject) => KubeObject) {
  const representation = chooseRepresentation(exchange, { table: false, partial: true, serverVersion: "v1" });
  const mediaType = parseBodyMediaType(findHeader(exchange, "content-type"));
  const body = await readSent(exchange);
  const { fieldManager, fieldValidation } = parseWriteOptions(
    "create",
    exchange.query,
    findHeader(exchange, "user-agent") ?? "",
  );
  const object = applyDefaults(decodeBody(exchange, kind, mediaType, body, fieldValidation));
  exchange.audit?.requestObject(kind, object);
  await exchange.pause();
  return { object, representation, fieldManager };
}

function track(object: KubeObject, kind: Kind, subresource: string, manager: string, now: Date): KubeObject {
  const author = { manager, time: formatTime(now) };
  return withMeta(object, {
    managedFields: trackUpdate(createManagedEndpoint(kind, subresource, []), undefined, object, author),
  });
}

function respondPosted(
  exchange: Exchange,
  kind: Kind,
  answer: KubeObject,
  representation: Representation,
): Promise<Answer> {
  if (representation.as === "PartialObjectMetadataList") {
    throw createOtherFormError(representation.as, formatGoType(kind));
  }
  if (representation.as === "object") return respondWire(exchange, 201, toWire(kind), answer, representation);
  return respondPartial(exchange, 201, answer, representation);
}
