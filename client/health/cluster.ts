/**
 * Examines a cluster or a server through its API, with the rights of a kubeconfig: who can become a node or an
 * administrator, and what is pending, expiring or missing.
 */
import { resolve } from "node:path";
import { askServer, type Examined, type ExamineDeps } from "./examine.ts";
import { createAccessReviewer } from "../objects/access_reviews.ts";
import { type ApiClient, createApiClient, listAll } from "../objects/api.ts";
import { chooseProxy, readCa, readCluster } from "../transport/connect.ts";
import { limitTime } from "../transport/time_limit.ts";
import { findServingCertificate } from "../transport/tls_transport.ts";
import { checkAuthorities, checkExpiry } from "../../core/report/health/certificates.ts";
import { CLUSTER_INFO_PATH, parsePublishedCluster } from "../../core/token/cluster_info.ts";
import {
  checkClusterInfo,
  checkPendingRequests,
  checkProofs,
  checkRequestedSigners,
  checkRotations,
  checkServerPolicies,
  checkTokens,
  describeLastProof,
  type ProofEvidence,
  type ServerEvidence,
} from "../../core/report/health/server.ts";
import { type Fault, type Finding, type Reporter, reportOn } from "../../core/report/health/finding.ts";
import {
  type CertificateRight,
  listCertificateRights,
  reportCertificateRights,
} from "../../core/report/health/rights.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { ConfigMap, SecretObject } from "../../core/kube/kinds/core_v1.ts";
import {
  caRotationKind,
  certificateSigningRequestKind,
  clusterRoleBindingKind,
  clusterRoleKind,
  issuedCertificateKind,
  roleBindingKind,
  roleKind,
  secretKind,
} from "../../core/kube/kinds/mod.ts";
import type { ResolvedCluster } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "../../core/kube/kinds/rbac_v1.ts";
import type { CaRotation, IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { shellWord } from "../../core/lib/printable.ts";
import { findCertificates } from "../../core/pki/x509/ca_bundle.ts";
import type { AccessReviewer, Transport } from "../../core/ports.ts";
import { askAs } from "./files.ts";
import { BOOTSTRAP_TOKEN_TYPE, listTokenFacts } from "../../core/token/token_secret.ts";
import { listProofKinds } from "../../core/approval/evidence/inventory.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../core/kube/kinds/constants.ts";
import { type KubeObject, SYSTEM_NAMESPACE } from "../../core/kube/meta.ts";
import { formatCollectionPath, type Kind } from "../../core/kube/schema.ts";
import { readApproverSettings } from "../admin/published_settings.ts";

/** The time limit of all requests to the API together. */
const READ_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 5_000;

/** The connection to the cluster, and parts of the commands that the findings suggest. */
interface ClusterAccess {
  readonly target: string;
  readonly report: Reporter;
  readonly cluster: ResolvedCluster;
  readonly api: ApiClient;
  readonly reviewer: AccessReviewer;
  /** The shell word of the kubeconfig. */
  readonly kubeconfig: string;
  readonly kubectl: string;
}

export async function examineCluster(name: string, deps: ExamineDeps, signal: AbortSignal): Promise<Examined> {
  const path = resolve(deps.cwd, name);
  const cluster = await readCluster(path, deps.files);
  const target = `cluster ${cluster.server}`;
  const access = await askAs({ path, shown: deps.show(path) }, { target }, deps, signal);
  const serving = await examineServing(target, cluster, deps);
  if (!access.some(({ check, severity }) => check === "server-access" && severity === "ok")) {
    return { findings: [...access, ...serving] };
  }
  const tooLate = (): Error => new AppError("timeout", "no answer in time", { retryable: true });
  await using limit = limitTime(deps.clock, READ_TIMEOUT_MS, tooLate, signal);
  await using transport: Transport & AsyncDisposable = await deps.connect(cluster);
  const kubeconfig = shellWord(deps.show(path));
  const { clock } = deps;
  const asked: ClusterAccess = {
    target,
    report: reportOn(target),
    cluster,
    api: createApiClient(transport, { clock }),
    reviewer: createAccessReviewer(transport, { clock }),
    kubeconfig,
    kubectl: `kubectl --kubeconfig ${kubeconfig}`,
  };
  return {
    findings: [
      ...access,
      ...serving,
      ...await examineRights(asked, limit.signal),
      ...await examineServer(path, { target, flags: `--kubeconfig ${kubeconfig}` }, deps, limit.signal),
      ...await examineClusterInfo(asked, deps, limit.signal),
      ...await examineRotations(asked, limit.signal),
    ],
  };
}

/** Checks the certificate that the server presents, and the CAs of the kubeconfig that verify it. */
async function examineServing(
  target: string,
  cluster: ResolvedCluster,
  { clock, env, files }: ExamineDeps,
): Promise<readonly Finding[]> {
  const { server, ca } = cluster;
  const presented = await findServingCertificate(new URL(server), {
    ...cluster,
    proxy: chooseProxy(cluster, env),
    timeoutMs: CONNECT_TIMEOUT_MS,
  });
  if (presented === undefined) return [];
  const pem = ca === undefined ? "" : await readCa(ca, files);
  const authorities = findCertificates(pem).map((certificate) => ({ file: server, chain: [certificate] }));
  const leaf = { file: server, chain: [presented] };
  const now = clock.now();
  const report = reportOn(target);
  return [
    ...report.check(
      "serving-certificate",
      checkExpiry([leaf], now).map((fault) => ({
        ...fault,
        advice:
          "find out on the server's machine why it was not renewed; for a server of tlsboot, with: tlsboot doctor DIR",
      })),
    ),
    ...report.check("ca-expiry", checkAuthorities(authorities, [leaf], now)),
  ];
}

async function examineRights(
  { api, target, report, kubectl, reviewer }: ClusterAccess,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const clusterRoles = await listReadable<ClusterRole>(api, clusterRoleKind, signal);
  const clusterRoleBindings = await listReadable<ClusterRoleBinding>(api, clusterRoleBindingKind, signal);
  const roles = await listReadable<Role>(api, roleKind, signal, SYSTEM_NAMESPACE);
  const roleBindings = await listReadable<RoleBinding>(api, roleBindingKind, signal, SYSTEM_NAMESPACE);
  const missing = [clusterRoles, clusterRoleBindings, roles, roleBindings].flatMap((one) => one.missing ?? []);
  if (missing.length > 0) {
    return report.skip("csr-approve", `the user lacks the right to ${missing.join(", and to ")}`);
  }
  const rights = listCertificateRights({
    clusterRoles: clusterRoles.items,
    clusterRoleBindings: clusterRoleBindings.items,
    roles: roles.items,
    roleBindings: roleBindings.items,
  });
  const confirmed: CertificateRight[] = [];
  try {
    for (const right of rights) {
      const answers = await Promise.all(right.reviews.map((review) => reviewer.isAllowed(review, signal)));
      if (!answers.includes(false)) confirmed.push(right);
    }
  } catch (error) {
    if (!isAppError(error, "access_denied")) throw error;
    const reason = "the user lacks the right to create subjectaccessreviews.authorization.k8s.io, so authorizers " +
      "other than RBAC are not considered";
    return [
      ...reportCertificateRights(rights, { target, kubectl }),
      ...report.skip("csr-approve", reason),
    ];
  }
  return reportCertificateRights(confirmed, { target, kubectl });
}

async function examineClusterInfo(
  { api, report, cluster, kubectl }: ClusterAccess,
  { clock, files, connect }: ExamineDeps,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const skip = (reason: string) => report.skip("cluster-info", reason);
  if (cluster.ca === undefined) return skip("the kubeconfig has no CA");
  let clusterInfo: ConfigMap;
  try {
    clusterInfo = await api.requestObject<ConfigMap>({ method: "GET", path: CLUSTER_INFO_PATH }, signal);
  } catch (error) {
    if (isAppError(error, "not_found")) return skip("the cluster publishes no cluster-info");
    if (!isAppError(error, "access_denied")) throw error;
    return skip("the user lacks the right to get configmap cluster-info in kube-public");
  }
  const caPem = await readCa(cluster.ca, files);
  const published = parsePublishedCluster(clusterInfo);
  const named: ResolvedCluster | undefined = published?.certificateAuthorityData === undefined ? undefined : {
    server: published.server,
    ca: { kind: "pem", pem: published.certificateAuthorityData },
    insecureSkipTlsVerify: false,
  };
  const answer = named === undefined ? undefined : await askServer(() => connect(named), clock, signal);
  return report.check(
    "cluster-info",
    checkClusterInfo({ clusterInfo, server: cluster.server, caPem, answer }, kubectl),
  );
}

async function examineRotations(
  { api, report, kubeconfig }: ClusterAccess,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const listed = await listReadable<CaRotation>(api, caRotationKind, signal);
  return reportListed(report, "ca-replacement", listed, checkRotations(listed.items, kubeconfig));
}

/** Examines the server of a kubeconfig. The caller knows that it answers. */
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

/** Examines the certificates of machines that must prove their identity. */
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

/** The objects of a list; empty when the user lacks the right to list them. */
interface Listed<T> {
  readonly items: readonly T[];
  /** The right that the user lacks. */
  readonly missing?: string;
}

/** Lists all objects of a kind. The list is empty when the server does not serve the kind. */
async function listReadable<T extends KubeObject>(
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

/** Reports a check of listed objects, or that it was skipped because the user may not list them. */
function reportListed(
  report: Reporter,
  check: string,
  { missing }: Listed<unknown>,
  faults: readonly Fault[],
): readonly Finding[] {
  return missing === undefined
    ? report.check(check, faults)
    : report.skip(check, `the user lacks the right to ${missing}`);
}
