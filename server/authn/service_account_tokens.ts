/**
 * Tokens of service accounts (`pkg/serviceaccount/jwt.go`, `claims.go`). A signature is verified once: the claims of a
 * verified token are cached. The account, and the object to which the token is bound, are read at every request, so that a
 * token ends with them at once.
 */
import { hash } from "node:crypto";
import { AppError } from "../../core/errors.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { notFound } from "../../core/kube/status/status.ts";
import { FifoCache } from "../../core/lib/bounded.ts";
import { goQuoteList } from "../../core/lib/go_text.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import type { Clock } from "../../core/ports.ts";
import {
  checkTimes,
  hasJwtForm,
  LEEWAY_SECONDS,
  type ObjectClaim,
  parseClaims,
  parseJwt,
  type TokenClaims,
  type TokenKey,
  toTokenUser,
  verifyJwt,
} from "../../core/service_accounts/jwt.ts";
import { nodes } from "../registry/nodes.ts";
import { findPod } from "../registry/absent_kinds.ts";
import { type ResourceKeys, toStorageKey } from "../registry/registry.ts";
import { secrets } from "../registry/secrets.ts";
import { serviceAccounts } from "../registry/serviceaccounts.ts";
import type { Storage } from "../storage/storage.ts";
import type { TokenAuthenticator } from "./authentication.ts";
import { Counter } from "prom-client";
import type { MetricsRegistry } from "../metrics/registry.ts";

export interface ServiceAccountTokenDeps {
  readonly clock: Clock;
  readonly storage: Pick<Storage, "get">;
  readonly issuers: readonly string[];
  readonly keys: readonly TokenKey[];
  readonly apiAudiences: readonly string[];
  /** Counts the uses of tokens that should have been renewed. */
  readonly countUse: (use: AccountTokenUse) => void;
}

/** The number of verified tokens in the cache; each takes about a kilobyte. */
const CACHED_TOKENS = 10_000;
/** Longer tokens are verified at each use: a user may request as many audiences for a token as a body can hold. */
const MAX_CACHED_LENGTH = 4_096;

/** Creates the authenticator. It ignores text that is not a JWT, and tokens of other issuers. */
export function createServiceAccountTokenAuthenticator(deps: ServiceAccountTokenDeps): TokenAuthenticator {
  const verified = new FifoCache<TokenClaims>({ maxEntries: CACHED_TOKENS, maxKeyLength: 64 });
  return async (token, { audiences = deps.apiAudiences, isRepeated = false }) => {
    // Most tokens are not JWTs, and need not be hashed.
    if (!hasJwtForm(token)) return { kind: "none" };
    const key = hash("sha256", token, "base64");
    const cached = verified.get(key);
    const checked = cached === undefined ? verify(token, deps) : ok(cached);
    if (checked === undefined) return { kind: "none" };
    if (!checked.ok) return { kind: "failed", reason: checked.error };
    const claims = checked.value;
    if (cached === undefined && token.length <= MAX_CACHED_LENGTH) verified.set(key, claims);
    // Old tokens without an audience are meant for the API server.
    const own = claims.audiences.length === 0 ? deps.apiAudiences : claims.audiences;
    const known = new Set(own);
    const accepted = audiences.filter((audience) => known.has(audience));
    if (accepted.length === 0) {
      const texts = `${goQuoteList(own)} is invalid for the target audiences ${goQuoteList(audiences)}`;
      return { kind: "failed", reason: `token audiences ${texts}` };
    }
    const nowMs = deps.clock.now().getTime();
    const fault = await findFault(claims, deps.storage, nowMs);
    if (fault !== undefined) return { kind: "failed", reason: fault };
    const { uses, auditAnnotations } = describeUse(claims, nowMs);
    for (const use of isRepeated ? [] : uses) deps.countUse(use);
    return { kind: "user", user: toTokenUser(claims), audiences: accepted, auditAnnotations };
  };
}

/** Returns the claims of a token whose signature is genuine; undefined for text that is not a token of these issuers. */
function verify(token: string, { issuers, keys }: ServiceAccountTokenDeps): Result<TokenClaims, string> | undefined {
  const jwt = parseJwt(token);
  const issuer = jwt?.claims["iss"];
  if (jwt === undefined || typeof issuer !== "string" || !issuers.includes(issuer)) return undefined;
  const signed = verifyJwt(jwt, keys);
  if (!signed.ok) return signed;
  const claims = parseClaims(signed.value);
  return claims === undefined ? err("the token has a claim of the wrong type") : ok(claims);
}

/** Finds out why a genuine token is not valid at a time, in kube-apiserver's words. */
async function findFault(
  claims: TokenClaims,
  storage: Pick<Storage, "get">,
  nowMs: number,
): Promise<string | undefined> {
  const times = checkTimes(claims, nowMs);
  return times.ok ? await findObjectFault(claims, storage, nowMs) : times.error;
}

/** Finds out why a token is invalid because of its account or its bound object. */
async function findObjectFault(
  { namespace, account, secret, pod, node, isWebhookBound }: TokenClaims,
  storage: Pick<Storage, "get">,
  nowMs: number,
): Promise<string | undefined> {
  const stored = await readObject(storage, serviceAccounts, namespace, account);
  if (stored === undefined) return notFound(serviceAccounts.kind, account.name).message;
  if (stored.metadata.uid !== account.uid) {
    return `service account UID (${stored.metadata.uid}) does not match claim (${account.uid})`;
  }
  if (isDeleted(stored, nowMs)) return `service account ${namespace}/${account.name} has been deleted`;
  if (secret !== undefined) {
    const fault = findBoundFault("secret", secret, await readObject(storage, secrets, namespace, secret), nowMs);
    if (fault !== undefined) return fault;
  }
  if (pod !== undefined) {
    const fault = findBoundFault("pod", pod, await readOrThrow(findPod(storage, namespace, pod.name)), nowMs);
    if (fault !== undefined) return fault;
  } else if (node !== undefined) {
    // In a token that is bound to a pod, the node only describes the pod.
    const fault = findBoundFault("node", node, await readObject(storage, nodes, "", node), nowMs);
    if (fault !== undefined) return fault;
  }
  return isWebhookBound === true ? WEBHOOK_BOUND : undefined;
}

async function readObject(
  storage: Pick<Storage, "get">,
  resource: ResourceKeys,
  namespace: string,
  { name }: ObjectClaim,
): Promise<KubeObject | undefined> {
  return (await readOrThrow(storage.get(toStorageKey(resource, namespace, name))))?.object;
}

/** Throws AppError `unreachable` when the storage cannot be read, because that is not a refusal. */
async function readOrThrow<T>(read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (error) {
    // The message has no details, because the client is not authenticated.
    throw new AppError("unreachable", "cannot read service accounts", { cause: error, retryable: true });
  }
}

const INVALIDATED = "service account token has been invalidated";
const WEBHOOK_BOUND = 'feature gate "APIServerWebhookAuthenticationToken" is disabled, but token is webhook bound';

function findBoundFault(
  kind: "secret" | "pod" | "node",
  claim: ObjectClaim,
  stored: KubeObject | undefined,
  nowMs: number,
): string | undefined {
  if (stored === undefined || isDeleted(stored, nowMs)) return INVALIDATED;
  const { uid } = stored.metadata;
  if (uid === claim.uid) return undefined;
  return `${kind} UID (${uid}) does not match service account ${kind} ref claim (${claim.uid})`;
}

/**
 * True when the tokens of a deleted object are no longer valid: they expire at its deletion, even while finalizers keep
 * the object.
 */
function isDeleted({ metadata: { deletionTimestamp } }: KubeObject, nowMs: number): boolean {
  return typeof deletionTimestamp === "string" && Date.parse(deletionTimestamp) < nowMs - LEEWAY_SECONDS * 1000;
}

/** Describes the use of a token that should have been renewed, for metrics and the audit log. */
function describeUse(
  { subject, audiences, warnAfter }: TokenClaims,
  nowMs: number,
): { readonly uses: readonly AccountTokenUse[]; readonly auditAnnotations: Readonly<Record<string, string>> } {
  const uses: AccountTokenUse[] = [];
  const auditAnnotations: Record<string, string> = {};
  if (audiences.length === 0) {
    uses.push("legacy");
    auditAnnotations["authentication.k8s.io/legacy-token"] = subject;
  }
  if (warnAfter !== undefined) {
    const seconds = Math.floor(nowMs / 1000) - warnAfter;
    uses.push(seconds > 0 ? "stale" : "valid");
    if (seconds > 0) {
      const text = `subject: ${subject}, seconds after warning threshold: ${seconds}`;
      auditAnnotations["authentication.k8s.io/stale-token"] = text;
    }
  }
  return { uses, auditAnnotations };
}

/** A use of a token without an audience, or of a pod's token before or after the time to renew it. */
export type AccountTokenUse = "legacy" | "valid" | "stale";

/** Counts the uses of service account tokens that should no longer be used (`pkg/serviceaccount/metrics.go`). */
export function countTokenUses(registry: MetricsRegistry): (use: AccountTokenUse) => void {
  const createCounter = (use: AccountTokenUse, help: string) =>
    new Counter({ name: `serviceaccount_${use}_tokens_total`, help, registers: [registry] });
  const counters = {
    legacy: createCounter("legacy", "Uses of service account tokens without an audience."),
    valid: createCounter("valid", "Uses of extended tokens of pods before the time at which they should be renewed."),
    stale: createCounter("stale", "Uses of extended tokens of pods after the time at which they should be renewed."),
  };
  return (use) => counters[use].inc();
}
