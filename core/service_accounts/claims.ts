/**
 * The claims of service account tokens (`pkg/serviceaccount/claims.go`): those of RFC 7519, and under `kubernetes.io` the
 * account and the object to which the token is bound.
 */
import { omitUndefined } from "../lib/record.ts";
import { getMember, isJsonObject, type JsonObject } from "../kube/json_value.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { CREDENTIAL_ID_KEY, listAccountGroups, toAccountUsername, type UserInfo } from "../kube/user.ts";

export interface ObjectClaim {
  readonly name: string;
  readonly uid: string;
}

/** The claims of a token. Times are in seconds since 1970. */
export interface TokenClaims {
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  readonly issuedAt?: number;
  readonly notBefore?: number;
  readonly expiry?: number;
  /** The id of the token; empty when it has none. */
  readonly id: string;
  readonly namespace: string;
  readonly account: ObjectClaim;
  readonly pod?: ObjectClaim;
  readonly secret?: ObjectClaim;
  /** The node of the pod, or the node to which the token is bound. */
  readonly node?: ObjectClaim;
  /** The time by which a pod should renew the token, which stays valid for longer. */
  readonly warnAfter?: number;
  /** Present on a token that is bound to a webhook configuration, which this server does not accept. */
  readonly isWebhookBound?: true;
}

/** Tokens are accepted this long before and after their times (go-jose `jwt.DefaultLeeway`). */
export const LEEWAY_SECONDS = 60;

export function encodeClaims(claims: TokenClaims): JsonObject {
  return {
    iss: claims.issuer,
    sub: claims.subject,
    aud: claims.audiences,
    iat: claims.issuedAt,
    nbf: claims.notBefore,
    exp: claims.expiry,
    jti: claims.id,
    "kubernetes.io": {
      namespace: claims.namespace,
      serviceaccount: encodeObjectClaim(claims.account),
      pod: encodeObjectClaim(claims.pod),
      secret: encodeObjectClaim(claims.secret),
      node: encodeObjectClaim(claims.node),
      warnafter: claims.warnAfter,
    },
  };
}

/** Go omits the uid of a node that does not exist. */
function encodeObjectClaim(claim: ObjectClaim | undefined): JsonObject | undefined {
  if (claim === undefined) return undefined;
  return { name: claim.name, ...(claim.uid === "" ? {} : { uid: claim.uid }) };
}

/** Reads the claims of a token; undefined when a claim has another type. */
export function parseClaims(members: JsonObject): TokenClaims | undefined {
  const own = getMember(members, "kubernetes.io") ?? {};
  const audiences = parseAudiences(getMember(members, "aud"));
  if (!isJsonObject(own) || audiences === undefined) return undefined;
  const texts = readAll(members, ["iss", "sub", "jti"], readText);
  const times = readAll(members, ["iat", "nbf", "exp"], readTime);
  const objects = readAll(own, ["serviceaccount", "pod", "secret", "node", ...WEBHOOK_CLAIMS], readObjectClaim);
  const namespace = readText(own, "namespace");
  const warnAfter = readTime(own, "warnafter");
  if (texts === undefined || times === undefined || objects === undefined) return undefined;
  if (namespace === INVALID || warnAfter === INVALID) return undefined;
  const [issuer = "", subject = "", id = ""] = texts;
  const [issuedAt, notBefore, expiry] = times;
  const [account = { name: "", uid: "" }, pod, secret, node, ...webhooks] = objects;
  return {
    issuer,
    subject,
    audiences,
    id,
    namespace: namespace ?? "",
    account,
    ...omitUndefined({ issuedAt, notBefore, expiry, pod, secret, node }),
    ...(warnAfter === undefined || warnAfter === 0 ? {} : { warnAfter }),
    ...(webhooks.some((claim) => claim !== undefined) ? { isWebhookBound: true } : {}),
  };
}

const WEBHOOK_CLAIMS = ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"];

/** Marks a claim of another type than it should have. */
const INVALID = Symbol("invalid claim");

type Read<T> = (object: JsonObject, name: string) => T | undefined | typeof INVALID;

function readAll<T>(object: JsonObject, names: readonly string[], read: Read<T>): (T | undefined)[] | undefined {
  const values: (T | undefined)[] = [];
  for (const name of names) {
    const value = read(object, name);
    if (value === INVALID) return undefined;
    values.push(value);
  }
  return values;
}

function readText(object: JsonObject, name: string): string | undefined | typeof INVALID {
  const value = getMember(object, name) ?? undefined;
  return value === undefined || typeof value === "string" ? value : INVALID;
}

function readTime(object: JsonObject, name: string): number | undefined | typeof INVALID {
  const value = getMember(object, name) ?? undefined;
  if (value === undefined) return undefined;
  return typeof value === "number" && Number.isFinite(value) ? Math.trunc(value) : INVALID;
}

function readObjectClaim(object: JsonObject, claim: string): ObjectClaim | undefined | typeof INVALID {
  const value = getMember(object, claim) ?? undefined;
  if (value === undefined) return undefined;
  if (!isJsonObject(value)) return INVALID;
  const name = readText(value, "name");
  const uid = readText(value, "uid");
  return name === INVALID || uid === INVALID ? INVALID : { name: name ?? "", uid: uid ?? "" };
}

function parseAudiences(value: unknown): readonly string[] | undefined {
  if (value === undefined) return [];
  if (typeof value === "string") return [value];
  return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
}

/** Checks that a token is valid at a time, in kube-apiserver's words. */
export function checkTimes({ issuedAt, notBefore, expiry }: TokenClaims, nowMs: number): Result<undefined, string> {
  const now = nowMs / 1000;
  if (notBefore !== undefined && now + LEEWAY_SECONDS < notBefore) return err("service account token is not valid yet");
  if (expiry !== undefined && now - LEEWAY_SECONDS > expiry) return err("service account token has expired");
  if (issuedAt !== undefined && now + LEEWAY_SECONDS < issuedAt) {
    return err("service account token is issued in the future");
  }
  return ok(undefined);
}

/** Returns the user of a token that is accepted (`apiserver/pkg/authentication/serviceaccount/util.go`). */
export function toTokenUser({ namespace, account, id, pod, node }: TokenClaims): UserInfo {
  const hasPod = pod !== undefined && pod.name !== "" && pod.uid !== "";
  const hasNode = node !== undefined && node.name !== "";
  return {
    username: toAccountUsername(namespace, account.name),
    uid: account.uid,
    groups: listAccountGroups(namespace),
    extra: {
      ...(id === "" ? {} : { [CREDENTIAL_ID_KEY]: [formatCredentialId(id)] }),
      ...(hasNode ? { [`${EXTRA_PREFIX}node-name`]: [node.name] } : {}),
      ...(hasNode && node.uid !== "" ? { [`${EXTRA_PREFIX}node-uid`]: [node.uid] } : {}),
      ...(hasPod ? { [`${EXTRA_PREFIX}pod-name`]: [pod.name], [`${EXTRA_PREFIX}pod-uid`]: [pod.uid] } : {}),
    },
  };
}

const EXTRA_PREFIX = "authentication.kubernetes.io/";

/** Returns the id under which audit logs show a token. */
export function formatCredentialId(tokenId: string): string {
  return `JTI=${tokenId}`;
}
