/** Examines a running server through its API, with the kubeconfig of its administrator. */
import type { ExamineDeps } from "../../../client/health/examine.ts";
import { type ApiClient, createApiClient, listAll } from "../../../client/objects/api.ts";
import { readCluster } from "../../../client/transport/connect.ts";
import { BOOTSTRAP_TOKEN_TYPE, listTokenFacts } from "../../../core/token/token_secret.ts";
import { type Fault, type Finding, type Reporter, reportOn } from "../../../core/report/health/finding.ts";
import { SYSTEM_NAMESPACE } from "../../../core/report/health/rights.ts";
import {
  checkPendingRequests,
  checkProofs,
  checkRequestedSigners,
  checkServerPolicies,
  checkTokens,
  describeLastProof,
  type ProofEvidence,
  type ServerEvidence,
} from "../../../core/report/health/server.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import { listProofKinds } from "../../../core/approval/evidence/inventory.ts";
import {
  type CertificateSigningRequest,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
} from "../../../core/kube/kinds/certificates_v1.ts";
import type { SecretObject } from "../../../core/kube/kinds/core_v1.ts";
import { certificateSigningRequestKind, issuedCertificateKind, secretKind } from "../../../core/kube/kinds/mod.ts";
import type { IssuedCertificate } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import { formatCollectionPath, type Kind } from "../../../core/kube/schema.ts";
import { readApproverSettings } from "../../../client/admin/published_settings.ts";

/** Examines the server of a kubeconfig, which is known to answer. */
export async function examineServer(
  kubeconfig: string,
  { target, flags }: { readonly target: string; readonly flags: string },
  { clock, files, connect }: ExamineDeps,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const report = reportOn(target);
  try {
    await using transport = await connect(await readCluster(kubeconfig, files));
    const api = createApiClient(transport, { clock });
    const requests = await listReadable<CertificateSigningRequest>(api, certificateSigningRequestKind, signal);
    const secrets = await listReadable<SecretObject>(api, secretKind, signal, SYSTEM_NAMESPACE, {
      fieldSelector: `type=${BOOTSTRAP_TOKEN_TYPE}`,
    });
    const { policies, inventory, signers } = await readApproverSettings(api, signal);
    const evidence: ServerEvidence = {
      requests: requests.items,
      signers,
      policies,
      tokens: secrets.items.flatMap((secret) => listTokenFacts(secret) ?? []),
      flags,
      now: clock.now(),
    };
    return [
      ...reportListed(report, "signers", requests, checkRequestedSigners(evidence)),
      ...reportListed(report, "pending-requests", requests, checkPendingRequests(evidence)),
      ...report.check("policy", checkServerPolicies(evidence)),
      ...reportListed(report, "tokens", secrets, checkTokens(evidence)),
      ...inventory === undefined || listProofKinds(inventory).length === 0 ? [] : await examineProofs(report, api, {
        inventory,
        now: evidence.now,
      }, signal),
    ];
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return report.skip("signers", `the server cannot be examined: ${error.message}`);
  }
}

/** Examines the certificates of machines that are to prove which ones they are. */
async function examineProofs(
  report: Reporter,
  api: ApiClient,
  machines: Omit<ProofEvidence, "records">,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const listed = await listReadable<IssuedCertificate>(api, issuedCertificateKind, signal, undefined, {
    fieldSelector: `spec.signerName=${KUBE_APISERVER_CLIENT_KUBELET_SIGNER}`,
  });
  if (listed.missing !== undefined) return reportListed(report, "proofs", listed, []);
  const evidence = { ...machines, records: listed.items };
  return report.check("proofs", checkProofs(evidence), describeLastProof(evidence));
}

/** The objects of a list; none when the user lacks a right. */
export interface Listed<T> {
  readonly items: readonly T[];
  /** The right that the user lacks. */
  readonly missing?: string;
}

/** Lists all objects of a kind; none of a kind that the server does not serve. */
export async function listReadable<T extends KubeObject>(
  api: ApiClient,
  kind: Kind,
  signal: AbortSignal,
  namespace?: string,
  selectors: Parameters<typeof listAll>[2] = {},
): Promise<Listed<T>> {
  try {
    return await listAll<T>(api, formatCollectionPath(kind, namespace), selectors, signal);
  } catch (error) {
    if (isAppError(error, "not_found")) return { items: [] };
    if (!isAppError(error, "access_denied")) throw error;
    const resource = `${kind.plural}${kind.group === "" ? "" : `.${kind.group}`}`;
    return { items: [], missing: `list ${resource}${namespace === undefined ? "" : ` in ${namespace}`}` };
  }
}

/** Reports a check of listed objects, or that the user may not list them. */
export function reportListed(
  report: Reporter,
  check: string,
  { missing }: Listed<unknown>,
  faults: readonly Fault[],
): readonly Finding[] {
  return missing === undefined
    ? report.check(check, faults)
    : report.skip(check, `the user lacks the right to ${missing}`);
}
