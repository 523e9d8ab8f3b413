/** Lists, describes and deletes the bootstrap tokens of an API server, which are Secrets in kube-system. */
import { isTokenSpent, readTokenLimits, readTokenUse } from "../../core/token/bound_token.ts";
import {
  BOOTSTRAP_TOKEN_TYPE,
  formatBootstrapToken,
  listTokenFacts,
  toTokenSecretName,
} from "../../core/token/token_secret.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { formatTime, SYSTEM_NAMESPACE } from "../../core/kube/meta.ts";
import { type ApiClient, listAll } from "../objects/api.ts";
import { unlessAbsent } from "./records.ts";

export const TOKEN_COLLECTION = `/api/v1/namespaces/${SYSTEM_NAMESPACE}/secrets`;
export const TOKEN_SELECTOR = { fieldSelector: `type=${BOOTSTRAP_TOKEN_TYPE}` } as const;

export function tokenPath(id: string): string {
  return `${TOKEN_COLLECTION}/${toTokenSecretName(id)}`;
}

/** A token as `-o json` prints it. Absent fields do not apply to the token. */
export interface ListedToken {
  readonly id: string;
  /** The whole token; present only when secrets are shown. */
  readonly token?: string | undefined;
  /** The remaining lifetime for people: `23h`, `<forever>`, or `<invalid>` when it has expired. */
  readonly ttl: string;
  /** The expiration in RFC 3339, or the invalid text in the Secret; absent when the token never expires. */
  readonly expires?: string | undefined;
  readonly kind: "shared" | "keys" | "node" | "key" | "invalid";
  readonly node?: string | undefined;
  /** The networks from which the token is accepted. */
  readonly networks?: readonly string[] | undefined;
  readonly publicKey?: string | undefined;
  /** Whether the token approves the request of its node. */
  readonly approves?: true | undefined;
  /** The number of keys that the token allows. */
  readonly maxKeys?: number | undefined;
  /** The keys to which the token is bound, and those whose certificate has been used. */
  readonly boundKeys?: readonly string[] | undefined;
  readonly usedKeys?: readonly string[] | undefined;
  /** Whether the token can no longer be used. */
  readonly isUsed?: true | undefined;
  readonly createdBy?: string | undefined;
  readonly lastUse?: { readonly time: string; readonly address: string } | undefined;
  readonly lastRefusal?: { readonly time: string; readonly address: string; readonly reason: string } | undefined;
  readonly usages: readonly string[];
  readonly description: string;
  readonly groups: readonly string[];
}

/** Lists the bootstrap tokens of a server; each with its secret only if `showSecrets` is true. */
export async function listTokens(
  api: ApiClient,
  showSecrets: boolean,
  now: Date,
  signal: AbortSignal,
): Promise<readonly ListedToken[]> {
  const { items } = await listAll<SecretObject>(api, TOKEN_COLLECTION, TOKEN_SELECTOR, signal);
  return items.map((secret) => describeToken(secret, showSecrets, now)).filter((token) => token !== undefined);
}

/**
 * Deletes a token, and reports whether a server of tlsboot recorded a use of it. AppError `not_found` when there is no
 * token with that id.
 */
export async function deleteToken(
  api: ApiClient,
  id: string,
  signal: AbortSignal,
): Promise<{ readonly wasUsed: boolean }> {
  // A user who may delete tokens but not read them gets no report of a use.
  const secret = await unlessAbsent(api.requestObject<SecretObject>({ method: "GET", path: tokenPath(id) }, signal));
  try {
    await api.requestJson({ method: "DELETE", path: tokenPath(id) }, signal);
  } catch (error) {
    if (!isAppError(error, "not_found")) throw error;
    throw new AppError("not_found", `cannot delete token "${id}": there is no token with that id`, {
      cause: error,
      hint: "list the tokens with: tlsboot token list",
    });
  }
  return { wasUsed: secret !== undefined && readTokenUse(secret).lastUse !== undefined };
}

/** Describes the token of a Secret; undefined when the Secret holds none. */
export function describeToken(secret: SecretObject, showSecrets: boolean, now: Date): ListedToken | undefined {
  const facts = listTokenFacts(secret);
  if (facts === undefined) return undefined;
  const { id, token, expiration, usages, description, groups } = facts;
  const { boundKeys, usedKeys, createdBy, lastUse, lastRefusal } = readTokenUse(secret);
  return {
    id,
    token: showSecrets && token !== undefined ? formatBootstrapToken(token) : undefined,
    ttl: expiration.kind === "never"
      ? "<forever>"
      : expiration.kind === "at"
      ? formatShortDuration(expiration.at.getTime() - now.getTime())
      : "<invalid>",
    expires: expiration.kind === "at"
      ? formatTime(expiration.at)
      : expiration.kind === "unreadable"
      ? expiration.text
      : undefined,
    ...describeLimits(secret),
    boundKeys: boundKeys.length === 0 ? undefined : boundKeys,
    usedKeys: usedKeys.length === 0 ? undefined : usedKeys,
    isUsed: isTokenSpent(secret) || undefined,
    createdBy,
    lastUse: lastUse && { time: formatTime(lastUse.at), address: lastUse.address },
    lastRefusal: lastRefusal &&
      { time: formatTime(lastRefusal.at), address: lastRefusal.address, reason: lastRefusal.reason },
    usages,
    description,
    groups,
  };
}

function describeLimits(
  secret: SecretObject,
): Pick<ListedToken, "kind" | "node" | "networks" | "publicKey" | "approves" | "maxKeys"> {
  const limits = readTokenLimits(secret);
  if (!limits.ok) return { kind: "invalid" };
  const { node, maxKeys, networks, publicKey, isApproval } = limits.value;
  return {
    kind: publicKey !== undefined ? "key" : node !== undefined ? "node" : maxKeys !== undefined ? "keys" : "shared",
    node,
    networks: networks.length === 0 ? undefined : networks,
    publicKey,
    approves: isApproval || undefined,
    maxKeys,
  };
}

/** Formats a duration in one unit, rounded down: `23h` (apimachinery `pkg/util/duration`, `ShortHumanDuration`). */
function formatShortDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m`;
  const hours = Math.floor(seconds / 3_600);
  if (hours < 24) return `${hours}h`;
  return hours < 24 * 365 ? `${Math.floor(hours / 24)}d` : `${Math.floor(hours / 24 / 365)}y`;
}
