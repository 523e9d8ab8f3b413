/** The facts about a bootstrap token that an approver may see: everything but the secret. */
import { omitEmpty } from "../lib/record.ts";
import { readTokenLimits, readTokenUse } from "../token/bound_token.ts";
import { listTokenFacts } from "../token/token_secret.ts";
import type { SecretObject } from "../kube/kinds/core_v1.ts";
import { formatTime } from "../kube/meta.ts";
import type { TokenView } from "./request_view.ts";

/** Describes a token; without its Secret, the token does not exist any more. */
export function toTokenView(id: string, secret: SecretObject | undefined): TokenView {
  const facts = secret === undefined ? undefined : listTokenFacts(secret);
  if (secret === undefined || facts === undefined) return { id, isGone: true };
  const limits = readTokenLimits(secret);
  const { createdAt, createdBy, boundKeys } = readTokenUse(secret);
  const { node, maxKeys } = limits.ok ? limits.value : {};
  const { expiration, description } = facts;
  return {
    id,
    ...omitEmpty({
      createdAt: createdAt && formatTime(createdAt),
      createdBy,
      expiresAt: expiration.kind === "at" ? formatTime(expiration.at) : undefined,
      description,
      node,
      usesLeft: maxKeys === undefined ? undefined : Math.max(0, maxKeys - boundKeys.length),
    }),
  };
}
