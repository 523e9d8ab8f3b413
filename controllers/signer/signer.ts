/** The signing controller (`pkg/controller/certificates/signer/signer.go`), which serves any number of signer names. */
import { type DecisionText, withCondition } from "../../core/approval/conditions.ts";
import { REVOKED } from "../../core/approval/decide_request.ts";
import { hasCertificate, isApproved, isFailed } from "../../core/request/phase.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { formatTime } from "../../core/kube/meta.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { type CertificatePlan, encodeIssued, issueCertificate, SERIAL_BYTES } from "../../core/pki/authority/issue.ts";
import { chainNotAfter } from "../../core/pki/x509/ca_bundle.ts";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import type { Clock, CsrStore, Logger, Random } from "../../core/ports.ts";
import { BUILTIN_SIGNERS, decideClientTrust, planCertificate } from "../../core/signing/profile.ts";
import { DONE, type Outcome, type Reconciler, retry } from "../engine/loop.ts";
import type { ProfileSource } from "./profile_provider.ts";
import type { FindRevokedRequest } from "../../core/approval/decide_from_sources.ts";

/** The dependencies of the signing controller. */
export interface SignerDeps {
  readonly store: CsrStore;
  /** Returns the CA of a signer, undefined when it has none. Called for each signature. */
  readonly authorities: (signerName: string) => Promise<Authority | undefined>;
  readonly signerNames: readonly string[];
  /** The profiles of custom signers by signer name, in addition to kube-controller-manager's four. */
  readonly profiles?: ReadonlyMap<string, ProfileSource>;
  /**
   * Returns whether the API accepts client certificates of a CA; undefined when that is unknown. Such a CA issues client
   * certificates only for the two built-in client signers; if it is unknown, custom signers issue none.
   */
  readonly isTrustedForClients?: (authority: Authority) => Promise<boolean | undefined>;
  /** Records a certificate before it is written to its request; when it rejects, nothing is written. */
  readonly record?: RecordIssued | undefined;
  /** Finds the revocation that applies to a request, which then fails. */
  readonly findRevoked?: FindRevokedRequest;
  /** The default and maximum lifetime of certificates (`--cluster-signing-duration`). */
  readonly signingDurationSeconds: number;
  /** Whether requests for ML-DSA keys are signed (feature gate MLDSA). Default: false. */
  readonly allowMlDsa?: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Records a certificate (DER) that a CA has issued for a request. */
export type RecordIssued = (
  certificate: Uint8Array<ArrayBuffer>,
  csr: CertificateSigningRequest,
  authority: Authority,
) => Promise<void>;

/** Creates the signer, to be run with `runController`. Throws AppError `config_invalid` for a name without a profile. */
export function createSigner(deps: SignerDeps): Reconciler<CertificateSigningRequest> {
  const profiles = new Map(deps.signerNames.map((name) => [name, getProfile(name, deps.profiles)]));

  function concerns(csr: CertificateSigningRequest): boolean {
    return profiles.has(csr.spec.signerName) && !hasCertificate(csr) && isApproved(csr) && !isFailed(csr);
  }

  async function reconcile(
    name: string,
    csr: CertificateSigningRequest | undefined,
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (csr === undefined || !concerns(csr)) return DONE;
    const revoked = await deps.findRevoked?.(csr, signal);
    if (revoked !== undefined) return await fail(name, csr, { reason: REVOKED, message: revoked.message }, signal);
    const profile = await profiles.get(csr.spec.signerName)?.current();
    if (profile === undefined) return DONE;
    const request = parseRequest(csr.spec.request);
    if (!request.ok) return retry(`unable to parse csr "${name}": ${request.error}`);
    const authority = await deps.authorities(profile.signerName);
    if (authority === undefined) return retry(`no CA for signer "${profile.signerName}"`);
    const now = deps.clock.now();
    const plan = planCertificate({
      csr,
      facts: request.value,
      profile,
      caNotAfter: chainNotAfter(authority),
      issuers: [authority.certificate, ...authority.issuers],
      clientTrust: decideClientTrust(profile.signerName, await deps.isTrustedForClients?.(authority)),
      signingDurationSeconds: deps.signingDurationSeconds,
      allowMlDsa: deps.allowMlDsa ?? false,
      now,
    });
    if (plan.ok) return await issue(name, csr, plan.value, authority, profile.chain, signal);
    const { error } = plan;
    if (error.kind === "error") return retry(`error auto signing csr: ${error.message}`);
    return await fail(name, csr, error, signal);
  }

  async function fail(
    name: string,
    csr: CertificateSigningRequest,
    text: DecisionText,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const failed = withCondition(csr, "Failed", text, deps.clock.now());
    await write(failed, "error adding failure condition for csr", signal);
    deps.logger.warn("CSR failed", { csr: name, signerName: csr.spec.signerName, reason: text.message });
    return DONE;
  }

  async function issue(
    name: string,
    csr: CertificateSigningRequest,
    plan: CertificatePlan,
    authority: Authority,
    chain: boolean | undefined,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const der = await issueCertificate(plan, authority, deps.random.bytes(SERIAL_BYTES));
    await deps.record?.(der, csr, authority);
    const certificate = encodeBase64(encodeIssued(der, authority, chain));
    await write({ ...csr, status: { ...csr.status, certificate } }, "error updating signature for csr", signal);
    const notAfter = formatTime(plan.notAfter);
    deps.logger.info("CSR signed", { csr: name, signerName: csr.spec.signerName, notAfter });
    return DONE;
  }

  /** Writes the request, and prefixes an error of the API with kube-controller-manager's words. */
  async function write(csr: CertificateSigningRequest, trouble: string, signal: AbortSignal): Promise<void> {
    try {
      await deps.store.update(csr, signal, "status");
    } catch (error) {
      signal.throwIfAborted();
      if (!isAppError(error)) throw error;
      throw new AppError(error.code, `${trouble}: ${error.message}`, { cause: error, retryable: error.retryable });
    }
  }

  return { reconcile, concerns };
}

function getProfile(name: string, custom: ReadonlyMap<string, ProfileSource> | undefined): ProfileSource {
  const builtin = BUILTIN_SIGNERS.get(name);
  if (builtin !== undefined) return { current: () => Promise.resolve(builtin) };
  const source = custom?.get(name);
  if (source !== undefined) return source;
  const hint = "give a profile for a custom signer, or choose a signer of kubernetes.io";
  throw new AppError("config_invalid", `unrecognized signerName: "${name}"`, { hint });
}
