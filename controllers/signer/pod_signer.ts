/**
 * The signer of pod certificates, which Kubernetes does not ship. A kubelet requests a certificate for a pod, kube-apiserver
 * checks that the pod runs there, and this controller issues or refuses it without an approval.
 */
import type { PodCertificateRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { toObjectKey } from "../../core/kube/meta.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { encodeIssued, issueCertificate, SERIAL_BYTES } from "../../core/pki/authority/issue.ts";
import { chainNotAfter } from "../../core/pki/x509/ca_bundle.ts";
import type { Clock, Logger, ObjectStore, Random } from "../../core/ports.ts";
import {
  createIssuedStatus,
  createRefusedStatus,
  findChainFault,
  type LastingRefusal,
  planPodCertificate,
  type PodCertificatePlan,
} from "../../core/signing/pod_plan.ts";
import { DONE, type Outcome, type Reconciler, retry } from "../engine/loop.ts";
import type { ProfileSpecSource } from "./profile_provider.ts";
import type { SignerDeps } from "./signer.ts";
import { decideClientTrust } from "../../core/signing/profile.ts";

/** The dependencies of the signer of pod certificates. */
export interface PodSignerDeps
  extends Pick<SignerDeps, "allowMlDsa" | "authorities" | "isTrustedForClients" | "signingDurationSeconds"> {
  readonly store: Pick<ObjectStore<PodCertificateRequest>, "update">;
  /** The profiles of the signers to act for, by signer name. */
  readonly profiles: ReadonlyMap<string, ProfileSpecSource>;
  /** Records a certificate before it is written to its request; when it rejects, nothing is written. */
  readonly record?: RecordPodCertificate | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Records a certificate (DER) that a CA has issued for a pod. */
export type RecordPodCertificate = (
  certificate: Uint8Array<ArrayBuffer>,
  request: PodCertificateRequest,
  authority: Authority,
) => Promise<void>;

/** Creates the signer, to be run with `runController` over the requests of all namespaces. */
export function createPodSigner(deps: PodSignerDeps): Reconciler<PodCertificateRequest> {
  const { profiles, clock, logger } = deps;

  function concerns({ spec, status }: PodCertificateRequest): boolean {
    return profiles.has(spec.signerName) && (status.conditions ?? []).length === 0;
  }

  async function reconcile(
    _key: string,
    request: PodCertificateRequest | undefined,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { signerName = "" } = request?.spec ?? {};
    const spec = await profiles.get(signerName)?.currentSpec();
    if (request === undefined || spec === undefined || !concerns(request)) return DONE;
    const authority = await deps.authorities(signerName);
    if (authority === undefined) return retry(`no CA for signer "${signerName}"`);
    const plan = planPodCertificate({
      request,
      spec,
      caNotAfter: chainNotAfter(authority),
      issuers: [authority.certificate, ...authority.issuers],
      clientTrust: decideClientTrust(signerName, await deps.isTrustedForClients?.(authority)),
      signingDurationSeconds: deps.signingDurationSeconds,
      allowMlDsa: deps.allowMlDsa ?? false,
      now: clock.now(),
    });
    if (plan.ok) return await issue(request, plan.value, authority, spec.chain, signal);
    if (plan.error.kind === "error") return retry(`cannot sign for a pod: ${plan.error.message}`);
    return await refuse(request, plan.error, signal);
  }

  async function issue(
    request: PodCertificateRequest,
    plan: PodCertificatePlan,
    authority: Authority,
    withChain: boolean,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const der = await issueCertificate(plan.certificate, authority, deps.random.bytes(SERIAL_BYTES));
    const chain = encodeIssued(der, authority, withChain);
    const fault = findChainFault(chain);
    if (fault !== undefined) return await refuse(request, fault, signal);
    await deps.record?.(der, request, authority);
    const status = createIssuedStatus(plan, chain, clock.now());
    await deps.store.update({ ...request, status }, signal, "status");
    logger.info("pod certificate issued", { ...describe(request), notAfter: status.notAfter });
    return DONE;
  }

  async function refuse(
    request: PodCertificateRequest,
    refusal: LastingRefusal,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const status = createRefusedStatus(refusal, clock.now());
    await deps.store.update({ ...request, status }, signal, "status");
    const { kind, reason, message } = refusal;
    logger.warn("pod certificate refused", { ...describe(request), condition: kind, reason, detail: message });
    return DONE;
  }

  return { reconcile, concerns, getKey: toObjectKey };
}

function describe(request: PodCertificateRequest) {
  const { signerName, podName, serviceAccountName, nodeName } = request.spec;
  return {
    request: toObjectKey(request),
    signerName,
    pod: podName,
    serviceAccount: serviceAccountName,
    node: nodeName,
  };
}
