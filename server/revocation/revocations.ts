/**
 * The Revocations that are in force. They follow the storage, as does the register with the certificates on which they
 * depend. So a Revocation takes effect here before its creation is acknowledged, and on other servers of the same etcd
 * as soon as their watch delivers it. This file also has the admission plugins, and the lists of revoked certificates
 * for CRLs.
 */
import { Counter, Gauge } from "prom-client";
import { findTokenId, toTokenSecretName } from "../../core/token/token_secret.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind, revocationKind } from "../../core/kube/kinds/mod.ts";
import { getName } from "../../core/kube/meta.ts";
import { formatApiVersion } from "../../core/kube/schema.ts";
import type { IssuedCertificate, Revocation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { escapeControls } from "../../core/lib/printable.ts";
import { createTokenBuckets } from "../../core/lib/bounded.ts";
import type { IdentifiedUser } from "../../core/register/certificate_user.ts";
import {
  type PresentedCertificate,
  readRevocableRequest,
  type RecordedCertificates,
  RevocationIndex,
  type RevocationMatch,
} from "../../core/revocation/revocation_index.ts";
import { findRevocationTarget, REVOCATION_TARGET_KINDS } from "../../core/revocation/revocation.ts";
import type { MetricsRegistry } from "../metrics/registry.ts";
import { type Register, REGISTER_PREFIX } from "../register/register.ts";
import { recordServerEvent, type ServerEventDeps } from "../registry/events.ts";
import { findTokenSecret } from "../registry/secrets.ts";
import { followResource } from "../storage/follow.ts";
import type { Storage, StorageWatch, Stored } from "../storage/storage.ts";
import { findRevoked, findUnrecorded, type RevokedCertificate, selectRevoked } from "../../core/revocation/crl_plan.ts";
import { findCondition, hasCertificate } from "../../core/request/phase.ts";
import type { Logger } from "../../core/ports.ts";
import type { AdmissionPlugin } from "../registry/registry.ts";

export interface RevocationsDeps extends ServerEventDeps {
  readonly registry: MetricsRegistry;
  readonly register: Pick<Register, "index">;
}

/** The prefix of the storage keys of Revocations, below which every object is one. */
const REVOCATIONS_PREFIX = "/registry/tlsboot/revocations/";
/** The shortest time between two Events about credentials that one Revocation has refused. */
const REPORT_INTERVAL_MS = 60_000;

const decoder = new TextDecoder();

/** Reads the Revocations of a storage, and follows them until it is disposed. */
export async function openRevocations(deps: RevocationsDeps): Promise<Revocations> {
  const revocations = new Revocations(deps);
  await revocations.follow();
  return revocations;
}

/** The Revocations in force, and the checks of credentials and requests against them. */
export class Revocations implements Disposable {
  readonly records: RecordedCertificates;
  readonly index: RevocationIndex;
  readonly #deps: RevocationsDeps;
  readonly #refusals: Counter<"kind">;
  readonly #reports: ReturnType<typeof createTokenBuckets>;
  readonly #listeners = new Set<() => void>();
  #watch: StorageWatch | undefined;

  constructor(deps: RevocationsDeps) {
    this.#deps = deps;
    this.records = deps.register.index.certificates;
    const index = this.index = new RevocationIndex(this.records.findByFingerprint);
    this.#reports = createTokenBuckets(() => deps.clock.elapsedMs(), { burst: 1, refillMs: REPORT_INTERVAL_MS });
    this.#refusals = new Counter({
      name: "tlsboot_revoked_credentials_refused_total",
      help: "Requests that were refused because their credential is revoked, by what was revoked.",
      labelNames: ["kind"],
      registers: [deps.registry],
    });
    // Prometheus sees no increase when a series begins with one, so it begins with zero.
    for (const kind of REVOCATION_TARGET_KINDS) this.#refusals.inc({ kind }, 0);
    new Gauge({
      name: "tlsboot_revocations",
      help: "Revocations in force, by what is revoked.",
      labelNames: ["kind"],
      registers: [deps.registry],
      collect() {
        for (const [kind, count] of Object.entries(index.count())) this.set({ kind }, count);
      },
    });
  }

  async follow(): Promise<void> {
    const { storage, logger } = this.#deps;
    this.#watch = await followResource(storage, REVOCATIONS_PREFIX, {
      clear: () => this.index.replace([]),
      added: (name, stored, change) => {
        const revoked = decode(stored);
        this.index.put(revoked);
        if (change === undefined) return;
        const { spec: { reason, message }, status: { revokedBy } } = revoked;
        logger.info("revocation in force", { revocation: name, reason, message, revokedBy });
      },
      removed: (name) => {
        this.index.delete(name);
        logger.info("revocation taken back", { revocation: name });
      },
      changed: () => {
        for (const listener of this.#listeners) listener();
      },
    });
  }

  /** Calls a listener after each change of the Revocations, before the write of the change is acknowledged. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Calls a listener with each new or changed record of the register. */
  onRecord(listener: (record: IssuedCertificate) => void): void {
    this.#deps.register.index.onRecord(listener);
  }

  /**
   * Finds the reason why a user with a certificate or another credential is refused. A refusal is counted and reported,
   * unless the same credential is only checked again.
   */
  findRefusal(
    user: IdentifiedUser,
    certificate: PresentedCertificate | undefined,
    { remoteAddress = "", isRepeated = false }: { readonly remoteAddress?: string; readonly isRepeated?: boolean },
  ): string | undefined {
    const match = this.index.findForCredential(user, certificate);
    if (match === undefined) return undefined;
    if (!isRepeated) this.#report(match, user, remoteAddress);
    return match.message;
  }

  /** Finds the Revocation that forbids approving or signing a request. */
  async findForRequest(csr: CertificateSigningRequest): Promise<RevocationMatch | undefined> {
    if (this.index.size === 0) return undefined;
    const tokenId = findTokenId(csr.spec.username ?? "");
    const stored = tokenId === undefined
      ? undefined
      : await findTokenSecret(this.#deps.storage, toTokenSecretName(tokenId));
    return this.index.findForRequest({ ...readRevocableRequest(csr), tokenSecret: stored?.object });
  }

  [Symbol.dispose](): void {
    this.#watch?.stop();
  }

  /**
   * Reports the use of a revoked credential: each time in a metric, and at most once a minute in the log and as an
   * Event.
   */
  #report({ revoked, message }: RevocationMatch, { username }: IdentifiedUser, address: string): void {
    const name = getName(revoked);
    this.#refusals.inc({ kind: findRevocationTarget(revoked.spec)?.kind ?? "" });
    this.#reports.sweep();
    if (!this.#reports.take(name)) return;
    this.#deps.logger.warn("revoked credential refused", { revocation: name, username, address, reason: message });
    const from = address === "" ? "" : ` from ${address}`;
    void recordServerEvent(this.#deps, {
      about: { kind: revocationKind.kind, apiVersion: formatApiVersion(revocationKind), name },
      namespace: "default",
      reason: "RevokedCredentialUsed",
      message: `A revoked credential of "${escapeControls(username)}" was used${from}, and refused: ${message}`,
      action: "Authenticating",
    });
  }
}

/** Parses the bytes, because reading `object` would keep the parsed form of the whole register in memory. */
function decode({ bytes }: Stored): Revocation {
  return JSON.parse(decoder.decode(bytes)) as Revocation;
}

/** An index of the revoked certificates, which follows the storage until it is disposed. */
export interface RevokedCertificates extends Disposable {
  /** Lists the revoked certificates of a CA, with the newest revocation last. */
  list(issuerFingerprint: string): readonly RevokedCertificate[];
}

/** Reads the revoked certificates and follows their changes; `onChange` is called after each change of the list. */
export async function followRevokedCertificates(
  storage: Pick<Storage, "list" | "watch">,
  onChange: () => void,
): Promise<RevokedCertificates> {
  const revoked = new Map<string, RevokedCertificate>();
  const watches = [
    await follow(storage, REGISTER_PREFIX, revoked, onChange),
    await follow(storage, REVOCATIONS_PREFIX, revoked, onChange),
  ];
  return {
    list: (issuerFingerprint) => selectRevoked([...revoked.values()], issuerFingerprint),
    [Symbol.dispose]() {
      for (const watch of watches) watch.stop();
    },
  };
}

async function follow(
  storage: Pick<Storage, "list" | "watch">,
  prefix: string,
  revoked: Map<string, RevokedCertificate>,
  onChange: () => void,
): Promise<StorageWatch> {
  let isChanged = false;
  return await followResource(storage, prefix, {
    clear() {
      for (const key of revoked.keys()) if (key.startsWith(prefix)) revoked.delete(key);
      isChanged = true;
    },
    added(_name, stored) {
      const certificate = readRevoked(stored);
      if (JSON.stringify(revoked.get(stored.key)) === JSON.stringify(certificate)) return;
      if (certificate === undefined) revoked.delete(stored.key);
      else revoked.set(stored.key, certificate);
      isChanged = true;
    },
    removed(_name, { key }) {
      if (revoked.delete(key)) isChanged = true;
    },
    changed() {
      if (isChanged) onChange();
      isChanged = false;
    },
  });
}

/** Lists the revoked certificates among stored objects of all kinds, for a command that does not follow changes. */
export function listRevokedCertificates(
  items: readonly Pick<Stored, "key" | "object">[],
): readonly RevokedCertificate[] {
  return items.map(readRevoked).filter((certificate) => certificate !== undefined);
}

function readRevoked({ key, object }: Pick<Stored, "key" | "object">): RevokedCertificate | undefined {
  // Every object under a prefix passed the strategy of its resource, so its type is known.
  if (key.startsWith(REGISTER_PREFIX)) return findRevoked(object as IssuedCertificate);
  return key.startsWith(REVOCATIONS_PREFIX) ? findUnrecorded(object as Revocation) : undefined;
}

/**
 * Creates two admission plugins, which kube-apiserver does not have. One refuses certificates to revoked subjects, no
 * matter who creates, approves or signs a request. The other deletes revoked tokens.
 */
export function createRevocationPlugins(
  { revocations, storage, logger }: {
    readonly revocations: Pick<Revocations, "findForRequest">;
    readonly storage: Pick<Storage, "get">;
    readonly logger: Logger;
  },
): readonly AdmissionPlugin[] {
  return [createRequestCheck(revocations), createTokenDeletion(storage, logger)];
}

/** Deletes the Secret of a bootstrap token in the transaction that revokes the token. */
function createTokenDeletion(storage: Pick<Storage, "get">, logger: Logger): AdmissionPlugin {
  return {
    name: "RevokedTokenDeletion",
    kinds: [revocationKind],
    async validate({ operation, object, alsoWrite }) {
      if (operation !== "CREATE") return undefined;
      const { token = "" } = (object as Revocation).spec;
      if (token === "" || alsoWrite === undefined) return undefined;
      try {
        const stored = await findTokenSecret(storage, toTokenSecretName(token));
        if (stored !== undefined) alsoWrite({ kind: "delete", key: stored.key, expectedRevision: stored.revision });
      } catch (error) {
        // A Secret that another API server has encrypted cannot be read. The token is still refused.
        logger.warn("the Secret of a revoked token is not deleted", { tokenId: token, error });
      }
      return undefined;
    },
  };
}

function createRequestCheck(revocations: Pick<Revocations, "findForRequest">): AdmissionPlugin {
  return {
    name: "Revocation",
    kinds: [certificateSigningRequestKind],
    async validate({ operation, subresource, object, oldObject }) {
      if (object === undefined) return undefined;
      const csr = object as CertificateSigningRequest;
      const before = oldObject as CertificateSigningRequest | undefined;
      const isNew = operation === "CREATE" && subresource === "";
      const isApproval = subresource === "approval" && findCondition(csr, "Approved") !== undefined &&
        (before === undefined || findCondition(before, "Approved") === undefined);
      const isSignature = subresource === "status" && hasCertificate(csr) &&
        (before === undefined || !hasCertificate(before));
      if (!isNew && !isApproval && !isSignature) return undefined;
      const match = await revocations.findForRequest(before ?? csr);
      return match === undefined ? undefined : { message: match.message };
    },
  };
}
