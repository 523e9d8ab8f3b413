/** Examines a cluster through its API, with the rights of a kubeconfig: who may become what, and what waits. */
import { resolve } from "node:path";
import { askServer } from "../../../client/machine_evidence.ts";
import { createAccessReviewer } from "../../../client/objects/access_reviews.ts";
import { type ApiClient, createApiClient, listAll } from "../../../client/objects/api.ts";
import { chooseProxy, readCa, readCluster } from "../../../client/transport/connect.ts";
import { limitTime } from "../../../client/transport/time_limit.ts";
import { findServingCertificate } from "../../../client/transport/tls_transport.ts";
import { CLUSTER_INFO_PATH, parsePublishedCluster } from "../../../core/bootstrap/cluster_info.ts";
import { checkAuthorities, checkExpiry, type StoredPair } from "../../../core/doctor/certificates.ts";
import { checkClusterInfo, checkRotations } from "../../../core/doctor/cluster.ts";
import { type Fault, type Finding, reportCheck, skipCheck } from "../../../core/doctor/finding.ts";
import {
  type CertificateRight,
  listCertificateRights,
  reportCertificateRights,
  SYSTEM_NAMESPACE,
} from "../../../core/doctor/rights.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type { ConfigMap } from "../../../core/kube/core_v1.ts";
import {
  caRotationKind,
  clusterRoleBindingKind,
  clusterRoleKind,
  roleBindingKind,
  roleKind,
} from "../../../core/kube/kinds/mod.ts";
import type { ResolvedCluster } from "../../../core/kube/kubeconfig_context.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from "../../../core/kube/rbac_v1.ts";
import { formatCollectionPath, type Kind } from "../../../core/kube/schema.ts";
import type { CaRotation } from "../../../core/kube/tlsboot_v1alpha1.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import { parseCertificate } from "../../../core/pki/certificate.ts";
import { parsePemBlocks } from "../../../core/pki/pem.ts";
import type { AccessReviewer, Transport } from "../../../core/ports.ts";
import { type Examined, type ExamineDeps, NOTHING_EXAMINED, showPath } from "./examine.ts";
import { askAs } from "./kubeconfig.ts";
import { examineServer } from "./server.ts";

/** The time limit of all questions to the API. */
const READ_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 5_000;

/** The connection of an examination, and the beginning of the commands that it prints. */
interface Asked {
  readonly target: string;
  readonly cluster: ResolvedCluster;
  readonly api: ApiClient;
  readonly reviewer: AccessReviewer;
  /** The shell word of the kubeconfig. */
  readonly kubeconfig: string;
  readonly kubectl: string;
}

/** Examines the cluster of a kubeconfig. */
export async function examineCluster(name: string, deps: ExamineDeps, signal: AbortSignal): Promise<Examined> {
  const path = resolve(deps.io.cwd, name);
  const cluster = await readCluster(path, deps.files);
  const target = `cluster ${cluster.server}`;
  const access = await askAs({ path, shown: showPath(path, deps) }, { target }, deps, signal);
  const serving = await examineServing(target, cluster, deps);
  if (!access.some(({ check, severity }) => check === "server-access" && severity === "ok")) {
    return { ...NOTHING_EXAMINED, findings: [...access, ...serving] };
  }
  const tooLate = (): Error => new AppError("timeout", "no answer in time", { retryable: true });
  await using limit = limitTime(deps.io.clock, READ_TIMEOUT_MS, tooLate, signal);
  await using transport: Transport & AsyncDisposable = await deps.connect(cluster);
  const kubeconfig = shellWord(showPath(path, deps));
  const { clock } = deps.io;
  const asked: Asked = {
    target,
    cluster,
    api: createApiClient(transport, { clock }),
    reviewer: createAccessReviewer(transport, { clock }),
    kubeconfig,
    kubectl: `kubectl --kubeconfig ${kubeconfig}`,
  };
  const findings = [
    ...access,
    ...serving,
    ...await examineRights(asked, limit.signal),
    ...await examineServer(path, { target, flags: `--kubeconfig ${kubeconfig}` }, deps, limit.signal),
    ...await examineClusterInfo(asked, deps, limit.signal),
    ...await examineRotations(asked, limit.signal),
  ];
  return { ...NOTHING_EXAMINED, findings };
}

/** Checks the certificate that the server presents, and the CAs of the kubeconfig that it is verified with. */
async function examineServing(
  target: string,
  cluster: ResolvedCluster,
  { io, files }: ExamineDeps,
): Promise<readonly Finding[]> {
  const { server, ca } = cluster;
  const presented = await findServingCertificate(new URL(server), {
    ...cluster,
    proxy: chooseProxy(cluster, io.env),
    timeoutMs: CONNECT_TIMEOUT_MS,
  });
  if (presented === undefined) return [];
  const pem = ca === undefined ? "" : await readCa(ca, files);
  const toPair = (chain: StoredPair["chain"]): StoredPair => ({
    file: server,
    keyFile: undefined,
    publicKeyDer: undefined,
    chain,
  });
  const authorities = parsePemBlocks(pem).flatMap(({ bytes }) => {
    const parsed = parseCertificate(bytes);
    return parsed.ok ? [toPair([parsed.value])] : [];
  });
  const leaf = toPair([presented]);
  const now = io.clock.now();
  return [
    ...reportCheck(
      { check: "serving-certificate", target },
      checkExpiry([leaf], now).map((fault) => ({
        ...fault,
        advice: "find out where the server runs why it was not renewed, for tlsboot with: tlsboot doctor DIR",
      })),
      "the server's certificate has not ended and is not renewed too late",
    ),
    ...reportCheck(
      { check: "ca-expiry", target },
      checkAuthorities(authorities, [leaf], now),
      "the server's CA lasts for more than a year and longer than what it signed",
    ),
  ];
}

/** The objects of a list, or the right that the user lacks. */
type Listed<T> = { readonly kind: "listed"; readonly items: readonly T[] } | {
  readonly kind: "missing";
  readonly right: string;
};

/** Lists all objects of a kind; none of a kind that the server does not serve. */
async function list<T extends KubeObject>(
  api: ApiClient,
  kind: Kind,
  signal: AbortSignal,
  namespace?: string,
): Promise<Listed<T>> {
  try {
    const { items } = await listAll<T>(api, formatCollectionPath(kind, namespace), {}, signal);
    return { kind: "listed", items };
  } catch (error) {
    if (isAppError(error, "not_found")) return { kind: "listed", items: [] };
    if (!isAppError(error, "access_denied")) throw error;
    const resource = `${kind.plural}${kind.group === "" ? "" : `.${kind.group}`}`;
    return { kind: "missing", right: `list ${resource}${namespace === undefined ? "" : ` in ${namespace}`}` };
  }
}

/** Reports a check of listed objects, or that the user may not list them. */
function reportListed<T>(
  { check, target }: Pick<Finding, "check" | "target">,
  listed: Listed<T>,
  find: (items: readonly T[]) => readonly Fault[],
  okMessage: string,
): readonly Finding[] {
  if (listed.kind === "missing") return [skipCheck({ check, target }, `the user lacks the right to ${listed.right}`)];
  return reportCheck({ check, target }, find(listed.items), okMessage);
}

async function examineRights(
  { api, target, kubectl, reviewer }: Asked,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const clusterRoles = await list<ClusterRole>(api, clusterRoleKind, signal);
  const clusterRoleBindings = await list<ClusterRoleBinding>(api, clusterRoleBindingKind, signal);
  const roles = await list<Role>(api, roleKind, signal, SYSTEM_NAMESPACE);
  const roleBindings = await list<RoleBinding>(api, roleBindingKind, signal, SYSTEM_NAMESPACE);
  const missing = [clusterRoles, clusterRoleBindings, roles, roleBindings].flatMap((one) =>
    one.kind === "missing" ? [one.right] : []
  );
  if (
    clusterRoles.kind === "missing" || clusterRoleBindings.kind === "missing" || roles.kind === "missing" ||
    roleBindings.kind === "missing"
  ) {
    return [skipCheck({ check: "csr-approve", target }, `the user lacks the right to ${missing.join(", and to ")}`)];
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
    const reason =
      "the user lacks the right to create subjectaccessreviews.authorization.k8s.io, so other authorizers " +
      "than RBAC are not considered";
    return [
      ...reportCertificateRights(rights, { target, kubectl }),
      skipCheck({ check: "csr-approve", target }, reason),
    ];
  }
  return reportCertificateRights(confirmed, { target, kubectl });
}

async function examineClusterInfo(
  { api, target, cluster, kubectl }: Asked,
  { io, files, connect }: ExamineDeps,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const check = { check: "cluster-info", target };
  if (cluster.ca === undefined) return [skipCheck(check, "the kubeconfig names no CA")];
  let clusterInfo: ConfigMap;
  try {
    clusterInfo = await api.requestObject<ConfigMap>({ method: "GET", path: CLUSTER_INFO_PATH }, signal);
  } catch (error) {
    if (isAppError(error, "not_found")) return [skipCheck(check, "the cluster publishes no cluster-info")];
    if (!isAppError(error, "access_denied")) throw error;
    return [skipCheck(check, "the user lacks the right to get configmap cluster-info in kube-public")];
  }
  const caPem = await readCa(cluster.ca, files);
  const published = parsePublishedCluster(clusterInfo);
  const named: ResolvedCluster | undefined = published?.certificateAuthorityData === undefined ? undefined : {
    server: published.server,
    ca: { kind: "pem", pem: published.certificateAuthorityData },
    insecureSkipTlsVerify: false,
  };
  const answer = named === undefined ? undefined : await askServer(() => connect(named), io.clock, signal);
  return reportCheck(
    check,
    checkClusterInfo({ clusterInfo, server: cluster.server, caPem, answer }, kubectl),
    "cluster-info names a server that answers, and its CA",
  );
}

async function examineRotations({ api, target, kubeconfig }: Asked, signal: AbortSignal): Promise<readonly Finding[]> {
  return reportListed(
    { check: "ca-replacement", target },
    await list<CaRotation>(api, caRotationKind, signal),
    (items) => checkRotations(items, kubeconfig),
    "no CA is being replaced",
  );
}
