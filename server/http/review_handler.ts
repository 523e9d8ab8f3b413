/** POST of a review: answered, never stored. */
import type { RegistryDeps } from "../registry/registry.ts";
import type { Review } from "../registry/resource.ts";
import { decodeBody, readBody } from "./body.ts";
import { wireOf } from "./encoding.ts";
import type { Exchange } from "./exchange.ts";
import { headerOf } from "./exchange.ts";
import { bodyMediaType } from "./negotiation.ts";
import { parseWriteOptions } from "./options.ts";
import { representationFor } from "./read_handlers.ts";
import { respondWire } from "./respond.ts";

/** Decodes, answers with 201. */
export async function handleReview(deps: RegistryDeps, review: Review, exchange: Exchange): Promise<Response> {
  const representation = representationFor(exchange, { table: false, partial: false });
  const mediaType = bodyMediaType(headerOf(exchange, "content-type"));
  const bytes = await readBody(exchange.request);
  const options = parseWriteOptions("create", exchange.query, headerOf(exchange, "user-agent") ?? "");
  const posted = decodeBody(exchange, review.kind, mediaType, bytes, options.fieldValidation);
  const answer = await review.answer(posted, {
    user: exchange.user,
    namespace: exchange.info.namespace,
    now: deps.clock.now(),
  });
  return respondWire(exchange, 201, wireOf(review.kind), answer, representation);
}
