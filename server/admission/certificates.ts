/**
 * The admission plugins of `certificates.k8s.io` (`plugin/pkg/admission/certificates`): CertificateApproval,
 * CertificateSigning, ClusterTrustBundleAttest and CertificateSubjectRestriction. After them come four that
 * kube-apiserver does not have: requests of a bootstrap token must be within its limits (`core/token/bound_token.ts`),
 * only a user who may approve may create a token that approves, the number of open requests of a requester is limited,
 * and a request for a signer that no known program runs gets a warning. The last two are off unless they are
 * configured.
 */
import { goQuote } from "../../core/lib/go_text.ts";
import { shellWord } from "../../core/lib/printable.ts";
import type { Clock, Logger } from "../../core/ports.ts";
import { type Authorizer, isAllowedForSigner, type SignerCheckDeps } from "../authz/authorizer.ts";
import { isOwnershipOnly } from "../authz/escalation_check.ts";
import { type AdmissionPlugin, toKeyPrefix } from "../registry/registry.ts";
import type { BootstrapTokens } from "../authn/bootstrap_tokens.ts";
import { followResource, type ResourceFollower } from "../storage/follow.ts";
import type { Storage, Stored } from "../storage/storage.ts";
import type { CertificateSigningRequest, ClusterTrustBundle } from "../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBE_APISERVER_CLIENT_SIGNER } from "../../core/kube/kinds/constants.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { certificateSigningRequestKind, clusterTrustBundleKind, secretKind } from "../../core/kube/kinds/mod.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import { getCsrPhase, hasCertificate } from "../../core/request/phase.ts";
import { describeMissingSigner } from "../../core/request/signer_name.ts";
import { findSubjectRestriction } from "../../core/request/validate.ts";
import { tooManyRequests } from "../../core/kube/status/status.ts";
import { isApprovingToken } from "../../core/token/bound_token.ts";

/**
 * Creates CertificateApproval: writing `/approval` requires the permission to approve for the signer of the stored
 * object, because the sent object may name a different one.
 */
export function createCertificateApproval(deps: SignerCheckDeps): AdmissionPlugin {
  return {
    name: "CertificateApproval",
    kinds: [certificateSigningRequestKind],
    async validate({ operation, subresource, user, oldObject }) {
      if (operation !== "UPDATE" || subresource !== "approval") return undefined;
      const { signerName } = (oldObject as CertificateSigningRequest).spec;
      if (await isAllowedForSigner(deps, user, "approve", signerName)) return undefined;
      return { message: `user not permitted to approve requests with signerName ${goQuote(signerName)}` };
    },
  };
}

/**
 * Creates CertificateSigning: a write of `/status` that changes the certificate or the conditions requires the
 * permission to sign for the signer.
 */
export function createCertificateSigning(deps: SignerCheckDeps): AdmissionPlugin {
  return {
    name: "CertificateSigning",
    kinds: [certificateSigningRequestKind],
    async validate({ operation, subresource, user, object, oldObject }) {
      if (operation !== "UPDATE" || subresource !== "status") return undefined;
      const before = oldObject as CertificateSigningRequest;
      if (isSameStatus(object as CertificateSigningRequest, before)) return undefined;
      const { signerName } = before.spec;
      if (await isAllowedForSigner(deps, user, "sign", signerName)) return undefined;
      return { message: `user not permitted to sign requests with signerName ${goQuote(signerName)}` };
    },
  };
}

/** Absent conditions equal an empty list, but an absent certificate differs from an empty one. */
function isSameStatus(a: CertificateSigningRequest, b: CertificateSigningRequest): boolean {
  return a.status.certificate === b.status.certificate &&
    JSON.stringify(a.status.conditions ?? []) === JSON.stringify(b.status.conditions ?? []);
}

/**
 * Creates ClusterTrustBundleAttest: writing the bundle of a signer requires the permission to attest for the signer, except
 * for a change of owners and finalizers.
 */
export function createClusterTrustBundleAttest(deps: SignerCheckDeps): AdmissionPlugin {
  return {
    name: "ClusterTrustBundleAttest",
    kinds: [clusterTrustBundleKind],
    async validate({ operation, user, object, oldObject }) {
      if (operation === "DELETE" || object === undefined) return undefined;
      const { signerName = "" } = (object as ClusterTrustBundle).spec;
      if (signerName === "") return undefined;
      if (oldObject !== undefined && isOwnershipOnly(object, oldObject)) return undefined;
      if (await isAllowedForSigner(deps, user, "attest", signerName)) return undefined;
      return { message: `user not permitted to attest for signerName ${goQuote(signerName)}` };
    },
  };
}

/** CertificateSubjectRestriction refuses the organization `system:masters` in requests for the signer of clients. */
export const certificateSubjectRestriction: AdmissionPlugin = {
  name: "CertificateSubjectRestriction",
  kinds: [certificateSigningRequestKind],
  validate({ operation, subresource, object }) {
    if (operation !== "CREATE" || subresource !== "") return undefined;
    const { spec } = object as CertificateSigningRequest;
    if (spec.signerName !== KUBE_APISERVER_CLIENT_SIGNER) return undefined;
    const request = parseRequest(spec.request);
    if (!request.ok) return { message: `failed to parse CSR: ${request.error}` };
    const message = findSubjectRestriction(spec.signerName, request.value.subject.organizations);
    return message === undefined ? undefined : { message };
  },
};

export function createBootstrapTokenPlugins(
  deps: {
    readonly authorizer: Pick<Authorizer, "authorize">;
    readonly logger: Logger;
    readonly tokens: Pick<BootstrapTokens, "decide">;
  },
): readonly AdmissionPlugin[] {
  return [
    {
      name: "BootstrapTokenLimits",
      kinds: [certificateSigningRequestKind],
      async validate({ operation, subresource, object, user, address, alsoWrite }) {
        if (operation !== "CREATE" || subresource !== "") return undefined;
        const csr = object as CertificateSigningRequest;
        const { refusal, write } = await deps.tokens.decide(csr, user.username, address);
        if (write !== undefined) alsoWrite?.(write);
        return refusal;
      },
    },
    {
      name: "BootstrapTokenApproval",
      kinds: [secretKind],
      async validate({ operation, object, user }) {
        if (operation === "DELETE" || !isApprovingToken(object as SecretObject)) return undefined;
        if (await isAllowedForSigner(deps, user, "approve", KUBE_APISERVER_CLIENT_KUBELET_SIGNER)) return undefined;
        const signer = goQuote(KUBE_APISERVER_CLIENT_KUBELET_SIGNER);
        return { message: `user not permitted to make a token that approves requests with signerName ${signer}` };
      },
    },
  ];
}

/** The settings of OpenRequestLimit and SignerWarning. */
export interface SigningRequestLimits {
  /** The largest number of open requests of one requester; 0 for no limit. */
  readonly maxOpenPerRequester: number;
  /** Returns the signers that run in this process; undefined where none runs, which turns the warning off. */
  readonly servedSigners: (() => readonly string[]) | undefined;
}

/** The two plugins, over an index that follows the stored requests until it is disposed. */
export interface SigningRequestPlugins extends Disposable {
  readonly plugins: readonly AdmissionPlugin[];
}

/** How long an admitted creation counts before its object is seen. Some creations fail after admission. */
const RESERVED_MS = 5_000;
/** After this many seconds a refused requester may try again, as for other answers with 429. */
const RETRY_AFTER_SECONDS = 1;

/** Creates the plugins that the settings enable, and follows the storage if there are any. */
export async function createSigningRequestPlugins(
  { maxOpenPerRequester, servedSigners }: SigningRequestLimits,
  { storage, clock }: { readonly storage: Storage; readonly clock: Clock },
): Promise<SigningRequestPlugins> {
  if (maxOpenPerRequester === 0 && servedSigners === undefined) return { plugins: [], [Symbol.dispose]: () => {} };
  const index = new RequestIndex(clock);
  const watch = await followResource(storage, toKeyPrefix({ kind: certificateSigningRequestKind }, ""), index);
  return {
    plugins: [
      ...(maxOpenPerRequester === 0 ? [] : [createOpenRequestLimit(index, maxOpenPerRequester)]),
      ...(servedSigners === undefined ? [] : [createSignerWarning(index, servedSigners)]),
    ],
    [Symbol.dispose]: () => watch.stop(),
  };
}

/** The open requests of each requester, and the signers that have issued certificates. */
class RequestIndex implements ResourceFollower<CertificateSigningRequest> {
  readonly #clock: Pick<Clock, "elapsedMs">;
  readonly #requesters = new Map<string, string>();
  readonly #open = new Map<string, Set<string>>();
  /** Admitted creations that have not been seen yet, by requester and name, and when each stops counting. */
  readonly #reserved = new Map<string, Map<string, number>>();
  readonly #issuing = new Set<string>();

  constructor(clock: Pick<Clock, "elapsedMs">) {
    this.#clock = clock;
  }

  clear(): void {
    this.#requesters.clear();
    this.#open.clear();
  }

  added(name: string, { object: csr }: Stored<CertificateSigningRequest>): void {
    const { username = "", signerName } = csr.spec;
    this.#reserved.get(username)?.delete(name);
    if (hasCertificate(csr)) this.#issuing.add(signerName);
    this.removed(name);
    if (getCsrPhase(csr).kind !== "pending") return;
    const own = this.#open.get(username) ?? new Set();
    this.#open.set(username, own.add(name));
    this.#requesters.set(name, username);
  }

  removed(name: string): void {
    const requester = this.#requesters.get(name);
    if (requester === undefined) return;
    this.#requesters.delete(name);
    const own = this.#open.get(requester);
    own?.delete(name);
    if (own?.size === 0) this.#open.delete(requester);
  }

  countOpen(requester: string): number {
    const now = this.#clock.elapsedMs();
    const reserved = this.#reserved.get(requester);
    for (const [name, until] of reserved ?? []) if (until <= now) reserved?.delete(name);
    if (reserved?.size === 0) this.#reserved.delete(requester);
    return (this.#open.get(requester)?.size ?? 0) + (reserved?.size ?? 0);
  }

  reserve(requester: string, name: string): void {
    const own = this.#reserved.get(requester) ?? new Map<string, number>();
    this.#reserved.set(requester, own.set(name, this.#clock.elapsedMs() + RESERVED_MS));
  }

  hasIssued(signerName: string): boolean {
    return this.#issuing.has(signerName);
  }
}

/** Creates OpenRequestLimit, which answers a creation beyond the limit with 429 and Retry-After. */
function createOpenRequestLimit(index: RequestIndex, limit: number): AdmissionPlugin {
  return {
    name: "OpenRequestLimit",
    kinds: [certificateSigningRequestKind],
    validate({ operation, user, name }) {
      if (operation !== "CREATE") return undefined;
      const { username } = user;
      const open = index.countOpen(username);
      if (open >= limit) {
        throw tooManyRequests(
          `${goQuote(username)} has ${open} open certificate signing requests, and this server allows ${limit}: ` +
            `wait until one is decided; an administrator deletes them with tlsboot delete csr --pending-of ${
              shellWord(username)
            }`,
          RETRY_AFTER_SECONDS,
        );
      }
      index.reserve(username, name);
      return undefined;
    },
  };
}

/**
 * Creates SignerWarning. It does not warn about a signer that has issued a certificate while the server was running,
 * because such a signer runs elsewhere.
 */
function createSignerWarning(index: RequestIndex, servedSigners: () => readonly string[]): AdmissionPlugin {
  return {
    name: "SignerWarning",
    kinds: [certificateSigningRequestKind],
    validate({ operation, object, onWarning }) {
      if (operation !== "CREATE") return undefined;
      const { signerName } = (object as CertificateSigningRequest).spec;
      if (!servedSigners().includes(signerName) && !index.hasIssued(signerName)) {
        onWarning?.(
          `no signer for ${goQuote(signerName)} runs in this server: without one the request gets no certificate; ` +
            describeMissingSigner(signerName),
        );
      }
      return undefined;
    },
  };
}
