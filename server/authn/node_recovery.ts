/**
 * The recovery of nodes whose certificates have expired (`--node-recovery`). A connection with an expired certificate may
 * do one thing: create a CertificateSigningRequest for its own node, and read it. The first such request binds the
 * certificate to the key of the request, so that a clone of the machine, which holds the same certificate, is refused.
 */
import { Counter } from "prom-client";
import {
  decideRecovery,
  decideRecoveryRequest,
  EXPIRED_CERTIFICATE_KEY,
  type RecoveryRefusal,
} from "../../core/machine/node_recovery.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { CERTIFICATES_GROUP } from "../../core/kube/kinds/constants.ts";
import { certificateSigningRequestKind, issuedCertificateKind } from "../../core/kube/kinds/mod.ts";
import { formatTime, getName } from "../../core/kube/meta.ts";
import { formatApiVersion } from "../../core/kube/schema.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import { createTokenBuckets } from "../../core/lib/bounded.ts";
import { omitUndefined } from "../../core/lib/record.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { verifyChain } from "../../core/pki/x509/chain.ts";
import { publicKeyPin } from "../../core/pki/keys/key_names.ts";
import { identifyCertificate } from "../../core/register/certificate_user.ts";
import { formatRecordName } from "../../core/register/record.ts";
import type { Attributes } from "../../core/rbac/attributes.ts";
import type { AdmissionPlugin } from "../registry/registry.ts";
import { type MethodResult, parsePeerChain, type PeerCertificate } from "./authentication.ts";
import type { MetricsRegistry } from "../metrics/registry.ts";
import { type Register, REGISTER_PREFIX } from "../register/register.ts";
import { recordServerEvent, type ServerEventDeps } from "../registry/events.ts";
import type { Stored, Write } from "../storage/storage.ts";

/** The limits that the operator sets. */
export interface NodeRecoveryLimits {
  /** How long after its expiry a certificate may recover its node, in milliseconds. */
  readonly graceMs: number;
  /** How many nodes this server recovers in an hour. */
  readonly perHour: number;
}

export interface NodeRecoveryDeps extends ServerEventDeps, NodeRecoveryLimits {
  readonly register: Pick<Register, "index">;
  readonly registry: MetricsRegistry;
}

const HOUR_MS = 3_600_000;
/** The shortest time between two Events about refusals of one node. */
const REPORT_INTERVAL_MS = 60_000;

/** Decides which nodes may recover, and reports refusals. */
export class NodeRecovery {
  readonly #deps: NodeRecoveryDeps;
  readonly #results: Counter<"result">;
  readonly #limit: ReturnType<typeof createTokenBuckets>;
  readonly #reports: ReturnType<typeof createTokenBuckets>;

  constructor(deps: NodeRecoveryDeps) {
    this.#deps = deps;
    const elapsedMs = (): number => deps.clock.elapsedMs();
    this.#limit = createTokenBuckets(elapsedMs, { burst: deps.perHour, refillMs: HOUR_MS / deps.perHour });
    this.#reports = createTokenBuckets(elapsedMs, { burst: 1, refillMs: REPORT_INTERVAL_MS });
    this.#results = new Counter({
      name: "tlsboot_node_recoveries_total",
      help: "Requests of nodes whose certificate had expired, by their result: accepted or refused.",
      labelNames: ["result"],
      registers: [deps.registry],
    });
  }

  /**
   * Identifies the node behind an expired certificate. The TLS handshake has proved the key, but did not check the
   * chain, so this method checks it, as of the last moment at which the certificate was valid.
   */
  async authenticate(
    peer: PeerCertificate,
    roots: readonly CertificateFacts[],
    address: string | undefined,
  ): Promise<MethodResult> {
    const now = this.#deps.clock.now();
    const leaf = findExpiredLeaf(peer, roots, now);
    if (leaf === undefined) return { kind: "none" };
    const { index } = this.#deps.register;
    const record = (await this.#findRecord(index.findSequence(leaf.sha256Fingerprint)))?.record;
    const { commonName: username, organizations: groups } = leaf.subject;
    const newest = record &&
      (await this.#findRecord(index.findNewest(record.spec, { username, groups })?.sequence))?.record;
    const lastUnidentified = [...index.listUnidentified()]
      .findLast(({ signerName, isRevoked }) => signerName === record?.spec.signerName && !isRevoked)?.sequence;
    const decided = decideRecovery({ leaf, record, newest, lastUnidentified, now, graceMs: this.#deps.graceMs });
    if (!decided.ok) {
      this.#refuse(record, leaf.subject.commonName, decided.error, address);
      return { kind: "failed", reason: `expired client certificate: ${decided.error.message}`, isGenuine: true };
    }
    const identified = identifyCertificate(leaf);
    if (identified.kind !== "user") return identified;
    const extra = { ...identified.user.extra, [EXPIRED_CERTIFICATE_KEY]: [leaf.sha256Fingerprint] };
    return { kind: "user", user: { ...identified.user, extra } };
  }

  /**
   * True for the requests that a recovering node may make: creating a CertificateSigningRequest, and reading its own.
   */
  async isAllowed(user: UserInfo, attributes: Attributes): Promise<boolean> {
    if (attributes.kind === "path") return false;
    const { verb, apiGroup, resource, subresource, name } = attributes;
    if (apiGroup !== CERTIFICATES_GROUP || resource !== "certificatesigningrequests" || subresource !== "") {
      return false;
    }
    if (verb === "create") return true;
    if (!["get", "list", "watch"].includes(verb) || name === "") return false;
    const stored = await this.#deps.storage.get(`/registry/certificatesigningrequests/${name}`);
    if (stored === undefined) return true;
    const { spec } = stored.object as CertificateSigningRequest;
    return spec.username === user.username &&
      spec.extra?.[EXPIRED_CERTIFICATE_KEY]?.[0] === user.extra[EXPIRED_CERTIFICATE_KEY]?.[0];
  }

  /** The admission plugin that binds an expired certificate to the key of the first request made with it. */
  readonly plugin: AdmissionPlugin = {
    name: "NodeRecovery",
    kinds: [certificateSigningRequestKind],
    validate: async ({ operation, subresource, object, user, address, alsoWrite }) => {
      if (operation !== "CREATE" || subresource !== "") return undefined;
      const { refusal, write } = await this.decide(object as CertificateSigningRequest, user, address);
      if (write !== undefined) alsoWrite?.(write);
      return refusal;
    },
  };

  /**
   * Decides whether a recovering node may create a request. The returned write, if any, binds the expired certificate
   * to the key of the request, and must be part of the transaction that creates the request.
   */
  async decide(
    csr: CertificateSigningRequest,
    user: UserInfo,
    address: string | undefined,
  ): Promise<{ readonly refusal?: RecoveryRefusal; readonly write?: Write }> {
    const fingerprint = user.extra[EXPIRED_CERTIFICATE_KEY]?.[0];
    if (fingerprint === undefined) return {};
    const request = parseRequest(csr.spec.request);
    // A malformed request is refused by validation.
    if (!request.ok) return {};
    const found = await this.#findRecord(this.#deps.register.index.findSequence(fingerprint));
    if (found === undefined) {
      return { refusal: { message: "the expired certificate is not in the register", isSuspicious: false } };
    }
    const { stored, record } = found;
    const publicKeyFingerprint = publicKeyPin(request.value).slice("sha256:".length);
    const decided = decideRecoveryRequest(record, csr, request.value, publicKeyFingerprint);
    if (decided.ok && decided.value === "bound") return {};
    const refusal = decided.ok ? this.#checkLimit() : decided.error;
    if (refusal !== undefined) {
      this.#refuse(record, user.username, refusal, address);
      return { refusal };
    }
    this.#results.inc({ result: "accepted" });
    this.#deps.logger.info("a node with an expired certificate recovers", { username: user.username, address });
    const recovery = { publicKeyFingerprint, ...omitUndefined({ address }), time: formatTime(this.#deps.clock.now()) };
    const object: IssuedCertificate = { ...record, status: { ...record.status, recovery } };
    return { write: { kind: "update", key: stored.key, object, expectedRevision: stored.revision } };
  }

  async #findRecord(
    sequence: number | undefined,
  ): Promise<{ readonly stored: Stored; readonly record: IssuedCertificate } | undefined> {
    if (sequence === undefined) return undefined;
    const stored = await this.#deps.storage.get(`${REGISTER_PREFIX}${formatRecordName(sequence)}`);
    // Only the server writes below this prefix.
    return stored === undefined ? undefined : { stored, record: stored.object as IssuedCertificate };
  }

  #checkLimit(): RecoveryRefusal | undefined {
    this.#limit.sweep();
    if (this.#limit.take("")) return undefined;
    const message = `this server has recovered ${this.#deps.perHour} nodes within an hour, which is its limit ` +
      "(the setting nodeRecoveryLimit)";
    return { message, isSuspicious: false };
  }

  #refuse(
    record: IssuedCertificate | undefined,
    username: string,
    { message, isSuspicious }: RecoveryRefusal,
    address = "",
  ): void {
    const { logger } = this.#deps;
    this.#results.inc({ result: "refused" });
    logger.warn("a node with an expired certificate was refused", { username, address, reason: message });
    this.#reports.sweep();
    if (record === undefined || !isSuspicious || !this.#reports.take(username)) return;
    const from = address === "" ? "" : ` from ${address}`;
    const uid = omitUndefined({ uid: record.metadata.uid });
    void recordServerEvent(this.#deps, {
      about: {
        kind: issuedCertificateKind.kind,
        name: getName(record),
        ...uid,
        apiVersion: formatApiVersion(issuedCertificateKind),
      },
      namespace: "default",
      reason: "NodeRecoveryRefused",
      message: `An attempt${from} to recover "${username}" with its expired certificate was refused: ${message}. ` +
        "Two machines hold the key of this certificate; give a new token to the one that is yours",
      action: "Authenticating",
    });
  }
}

/** Returns the leaf of a chain, if it has expired but the chain is otherwise valid. */
function findExpiredLeaf(
  peer: PeerCertificate,
  roots: readonly CertificateFacts[],
  now: Date,
): CertificateFacts | undefined {
  const certificates = parsePeerChain(peer.chain);
  const [leaf, ...issuers] = certificates.ok ? certificates.value : [];
  if (leaf === undefined || leaf.notAfter >= now) return undefined;
  // On Deno a handshake with an X.509 v1 certificate does not prove the key.
  if (leaf.version !== 3) return undefined;
  return verifyChain(leaf, issuers, roots, { at: leaf.notAfter, usage: "client" }).ok ? leaf : undefined;
}
