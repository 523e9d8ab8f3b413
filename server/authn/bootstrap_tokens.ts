/**
 * Records the use of bootstrap tokens: the keys that a token is bound to, the keys whose certificates have been used,
 * and when and from where the token was last used or refused. The record is in annotations of the token's Secret, which
 * all servers on the same storage share, so each write is guarded by the Secret's revision.
 */
import { SYSTEM_NAMESPACE } from "../../core/kube/meta.ts";
import { Counter } from "prom-client";
import {
  decideTokenRequest,
  isLimitedToken,
  isTokenSpent,
  readTokenLimits,
  readTokenUse,
  type TokenAttempt,
  type TokenRefusal,
  withBoundKey,
  withLastRefusal,
  withLastUse,
  withUsedKey,
} from "../../core/token/bound_token.ts";
import { BOOTSTRAP_TOKEN_TYPE, findTokenId, toTokenSecretName } from "../../core/token/token_secret.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import { getErrorMessage } from "../../core/errors.ts";
import { omitUndefined } from "../../core/lib/record.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { createTokenBuckets } from "../../core/lib/bounded.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { type PublicKeyPin, publicKeyPin } from "../../core/pki/keys/key_names.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import { BACKDATE_MS } from "../../core/signing/profile.ts";
import type { MetricsRegistry } from "../metrics/registry.ts";
import { findKnownTokenSecret, findLimitedToken, TOKEN_SECRETS_PREFIX } from "../registry/secrets.ts";
import { withMeta } from "../registry/write.ts";
import { recordServerEvent } from "../registry/events.ts";
import { followResource } from "../storage/follow.ts";
import type { Storage, StorageWatch, Stored, Write } from "../storage/storage.ts";
import { retryRaces } from "../storage/transaction.ts";

export interface BootstrapTokensDeps {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly registry: MetricsRegistry;
}

/** The shortest time between two recorded uses of a token, and between two recorded refusals. */
const WRITE_INTERVAL_MS = 60_000;
/** The longest time from `notBefore` to the issuance: a certificate is backdated, and its times are whole seconds. */
const MAX_BACKDATE_MS = BACKDATE_MS + 1_000;

/** Opens the record in a storage, and follows the Secrets of tokens until it is disposed. */
export async function openBootstrapTokens(deps: BootstrapTokensDeps): Promise<BootstrapTokens> {
  const tokens = new BootstrapTokens(deps);
  await tokens.follow();
  return tokens;
}

interface Refused extends TokenAttempt {
  readonly refusal: TokenRefusal;
}

export class BootstrapTokens implements Disposable {
  readonly #deps: BootstrapTokensDeps;
  readonly #refusals: Counter<"reason">;
  readonly #uses: ReturnType<typeof createTokenBuckets>;
  /** The tokens whose refusal was reported within the last minute, each with the newest refusal since. */
  readonly #refused = new Map<string, Refused | undefined>();
  readonly #disposed = new AbortController();
  /** The bound keys whose certificates have not been used, by the name of the token's Secret. */
  readonly #openKeys = new Map<string, readonly PublicKeyPin[]>();
  /** The names of the Secrets, by each of these keys. */
  readonly #secretNames = new Map<PublicKeyPin, ReadonlySet<string>>();
  #watch: StorageWatch | undefined;

  constructor(deps: BootstrapTokensDeps) {
    this.#deps = deps;
    const once = { burst: 1, refillMs: WRITE_INTERVAL_MS };
    this.#uses = createTokenBuckets(() => deps.clock.elapsedMs(), once);
    this.#refusals = new Counter({
      name: "tlsboot_bootstrap_token_refusals_total",
      help: "Attempts to use a bootstrap token that its limits refused, by the limit.",
      labelNames: ["reason"],
      registers: [deps.registry],
    });
  }

  async follow(): Promise<void> {
    this.#watch = await followResource(this.#deps.storage, TOKEN_SECRETS_PREFIX, {
      clear: () => {
        this.#openKeys.clear();
        this.#secretNames.clear();
      },
      added: (name, { object }: Stored<SecretObject>) => this.#index(name, listOpenKeys(object)),
      removed: (name) => this.#index(name, []),
    });
  }

  /** Reads a Secret of kube-system by its name, as it was at most `withinMs` milliseconds ago. */
  async getSecret(name: string, withinMs = 0): Promise<SecretObject | undefined> {
    const { storage } = this.#deps;
    await storage.catchUp(withinMs);
    return findKnownTokenSecret(storage, name)?.object;
  }

  /** Records that a token has authenticated a client, at most once a minute. */
  onUsed(tokenId: string, address = ""): void {
    if (!this.#uses.take(tokenId)) return;
    this.#uses.sweep();
    const at = this.#deps.clock.now();
    void this.#edit(tokenId, (secret) => {
      const last = readTokenUse(secret).lastUse?.at.getTime() ?? 0;
      return at.getTime() - last < WRITE_INTERVAL_MS ? undefined : withLastUse(secret, { at, address });
    });
  }

  /**
   * Reports that the limits of a token refused a client: each time as a metric and in the log, and at most once a minute
   * as an Event about the Secret and in its annotations. The newest refusal within a minute is reported at its end.
   */
  onRefused(tokenId: string, refusal: TokenRefusal, address = ""): void {
    const { logger, clock } = this.#deps;
    this.#refusals.inc({ reason: refusal.kind });
    logger.warn("bootstrap token refused by its limits", { tokenId, reason: refusal.message, address });
    const refused = { refusal, at: clock.now(), address };
    if (this.#refused.has(tokenId)) this.#refused.set(tokenId, refused);
    else void this.#reportRefusals(tokenId, refused);
  }

  /** Reports a refusal, and the newest one of each minute until there is none. */
  async #reportRefusals(tokenId: string, first: Refused): Promise<void> {
    for (let next: Refused | undefined = first; next !== undefined; next = this.#refused.get(tokenId)) {
      this.#refused.set(tokenId, undefined);
      const { refusal, at, address } = next;
      void this.#edit(tokenId, (secret) => {
        const isOlder = at.getTime() < (readTokenUse(secret).lastRefusal?.at.getTime() ?? 0);
        return isOlder ? undefined : withLastRefusal(secret, { at, address }, refusal);
      });
      void this.#recordEvent(tokenId, refusal, address);
      // It rejects only when the server stops.
      await this.#deps.clock.sleep(WRITE_INTERVAL_MS, this.#disposed.signal).catch(() => {});
      if (this.#disposed.signal.aborted) return;
    }
    this.#refused.delete(tokenId);
  }

  /**
   * Decides whether a token may create a request. A refusal is reported and returned. Otherwise the returned write, if
   * any, binds the token to the key of the request, and must be part of the transaction that creates the request.
   */
  async decide(
    csr: CertificateSigningRequest,
    username: string,
    address: string | undefined,
  ): Promise<{ readonly refusal?: TokenRefusal; readonly write?: Write }> {
    const tokenId = findTokenId(username);
    if (tokenId === undefined) return {};
    const stored = await findLimitedToken(this.#deps.storage, toTokenSecretName(tokenId));
    // An administrator may impersonate a token that does not exist.
    if (stored === undefined) return {};
    const secret = stored.object;
    const request = parseRequest(csr.spec.request);
    // A malformed request is refused by validation.
    if (!request.ok) return {};
    const key = publicKeyPin(request.value);
    const { subject } = request.value;
    const decision = decideTokenRequest(secret, { signerName: csr.spec.signerName, subject, key });
    switch (decision.kind) {
      case "allowed":
        return {};
      case "refused":
        this.onRefused(tokenId, decision.refusal, address);
        return { refusal: decision.refusal };
      case "bind": {
        const object = withMeta(secret, { annotations: withBoundKey(secret, key) });
        return { write: { kind: "update", key: stored.key, object, expectedRevision: stored.revision } };
      }
    }
  }

  /**
   * Records that a client certificate has been used. When its key is bound to a token, that key of the token is spent.
   * Returns undefined for nearly all certificates, because no open token is bound to their keys.
   */
  certificateUsed(leaf: CertificateFacts): Promise<void> | undefined {
    if (this.#secretNames.size === 0) return undefined;
    const key = getPin(leaf);
    const names = this.#secretNames.get(key);
    if (names === undefined) return undefined;
    return Promise.all([...names].map((name) =>
      this.#edit(name.slice(toTokenSecretName("").length), (secret) => {
        const { usedKeys, createdAt } = readTokenUse(secret);
        if (usedKeys.includes(key) || !isIssuedAfter(leaf, createdAt)) return undefined;
        return withUsedKey(secret, key);
      })
    )).then(() => undefined);
  }

  [Symbol.dispose](): void {
    this.#disposed.abort();
    this.#watch?.stop();
  }

  #index(name: string, keys: readonly PublicKeyPin[]): void {
    for (const key of this.#openKeys.get(name) ?? []) {
      const others = new Set([...this.#secretNames.get(key) ?? []].filter((other) => other !== name));
      if (others.size === 0) this.#secretNames.delete(key);
      else this.#secretNames.set(key, others);
    }
    this.#openKeys.delete(name);
    if (keys.length === 0) return;
    this.#openKeys.set(name, keys);
    for (const key of keys) this.#secretNames.set(key, new Set([...this.#secretNames.get(key) ?? [], name]));
  }

  /** Changes the annotations of a token's Secret. A failure is only logged, because it must not refuse a client. */
  async #edit(
    tokenId: string,
    change: (secret: SecretObject) => Readonly<Record<string, string>> | undefined,
  ): Promise<void> {
    const { storage, logger } = this.#deps;
    const key = `${TOKEN_SECRETS_PREFIX}${toTokenSecretName(tokenId)}`;
    try {
      await retryRaces(async () => {
        const stored = await storage.get(key);
        const secret = stored?.object as SecretObject | undefined;
        const annotations = secret?.type === BOOTSTRAP_TOKEN_TYPE ? change(secret) : undefined;
        if (stored === undefined || secret === undefined || annotations === undefined) return;
        await storage.update(key, withMeta(secret, { annotations }), stored.revision);
      });
    } catch (error) {
      logger.warn("use of a bootstrap token not recorded", { tokenId, reason: getErrorMessage(error) });
    }
  }

  async #recordEvent(tokenId: string, { message }: TokenRefusal, address: string): Promise<void> {
    const name = toTokenSecretName(tokenId);
    const secret = await this.getSecret(name).catch(() => undefined);
    const uid = omitUndefined({ uid: secret?.metadata.uid });
    const from = address === "" ? "" : ` from ${address}`;
    await recordServerEvent(this.#deps, {
      about: { kind: "Secret", namespace: SYSTEM_NAMESPACE, name, ...uid, apiVersion: "v1" },
      namespace: SYSTEM_NAMESPACE,
      reason: "BootstrapTokenRefused",
      message: `An attempt${from} to use bootstrap token "${tokenId}" was refused: ${message}. If none of your ` +
        `machines made it, someone else has a copy of the token; to end it: tlsboot revoke token/${tokenId}`,
      action: "Authenticating",
    });
  }
}

/** Lists the keys whose certificate would spend the token. */
function listOpenKeys(secret: SecretObject): readonly PublicKeyPin[] {
  if (!isLimitedToken(secret) || isTokenSpent(secret)) return [];
  const limits = readTokenLimits(secret);
  if (!limits.ok || limits.value.maxKeys === undefined) return [];
  const { boundKeys, usedKeys } = readTokenUse(secret);
  return boundKeys.filter((key) => !usedKeys.includes(key));
}

/** Whether a certificate is newer than a token. An older one for the same key does not spend the token. */
function isIssuedAfter({ notBefore }: CertificateFacts, createdAt: Date | undefined): boolean {
  return createdAt === undefined || notBefore.getTime() + MAX_BACKDATE_MS >= createdAt.getTime();
}

const pins = new WeakMap<CertificateFacts, PublicKeyPin>();

function getPin(leaf: CertificateFacts): PublicKeyPin {
  let pin = pins.get(leaf);
  if (pin === undefined) pins.set(leaf, pin = publicKeyPin(leaf));
  return pin;
}
