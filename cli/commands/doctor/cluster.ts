/** Examines a cluster: asks it by SubjectAccessReview which subjects of its bindings have which rights over certificates. */
import { resolve } from "node:path";
import { createApiClient } from "../../../client/objects/api.ts";
import { readCluster } from "../../../client/transport/connect.ts";
import {
  type CertificateGrant,
  type CertificateRight,
  checkCertificateRights,
  listCertificateRights,
} from "../../../core/doctor/cluster.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type { ResourceAttributesSpec, SubjectAccessReview } from "../../../core/kube/authorization_v1.ts";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../../../core/kube/certificates_v1.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import type { ClusterRoleBinding, Subject } from "../../../core/kube/rbac_v1.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import { type Examined, type ExamineDeps, NOTHING_EXAMINED, showPath } from "./examine.ts";

const BINDINGS_PATH = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const REVIEW_PATH = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const SIGNERS = [KUBE_APISERVER_CLIENT_SIGNER, KUBE_APISERVER_CLIENT_KUBELET_SIGNER, KUBELET_SERVING_SIGNER];

/** Examines the cluster of a kubeconfig. AppError `access_denied` when its user may not list bindings or review access. */
export async function examineCluster(kubeconfig: string, deps: ExamineDeps, signal: AbortSignal): Promise<Examined> {
  const path = resolve(deps.io.cwd, kubeconfig);
  const cluster = await readCluster(path, deps.files);
  await using transport = await deps.connect(cluster);
  const api = createApiClient(transport, { clock: deps.io.clock });
  try {
    const list = await api.requestObject<KubeObject & { readonly items: readonly ClusterRoleBinding[] }>(
      { method: "GET", path: BINDINGS_PATH },
      signal,
    );
    const rights = listCertificateRights(SIGNERS);
    const ask = (subject: Subject, attributes: ResourceAttributesSpec) =>
      api.requestObject<SubjectAccessReview>({
        method: "POST",
        path: REVIEW_PATH,
        body: {
          apiVersion: "authorization.k8s.io/v1",
          kind: "SubjectAccessReview",
          metadata: {},
          spec: { resourceAttributes: attributes, ...toReviewed(subject) },
        },
      }, signal);
    const grants: CertificateGrant[] = [];
    for (const subject of listSubjects(list.items)) {
      for (const right of rights) {
        const grant = await findGrant(subject, right, list.items, (attributes) => ask(subject, attributes));
        if (grant !== undefined) grants.push(grant);
      }
    }
    const kubectl = `kubectl --kubeconfig ${shellWord(showPath(path, deps))}`;
    return {
      ...NOTHING_EXAMINED,
      findings: checkCertificateRights(rights, grants, { target: `cluster ${cluster.server}`, kubectl }),
    };
  } catch (error) {
    if (!isAppError(error, "access_denied")) throw error;
    throw new AppError("access_denied", `cannot check the rights in ${cluster.server}: ${error.message}`, {
      cause: error,
      hint: "use the kubeconfig of an administrator, who may list bindings and create subjectaccessreviews",
    });
  }
}

/** Asks for each permission of a right; undefined when one of them is refused. */
async function findGrant(
  subject: Subject,
  right: CertificateRight,
  bindings: readonly ClusterRoleBinding[],
  ask: (attributes: ResourceAttributesSpec) => Promise<SubjectAccessReview>,
): Promise<CertificateGrant | undefined> {
  let reason = "";
  for (const attributes of right.needs) {
    const { status } = await ask(attributes);
    if (status?.allowed !== true) return undefined;
    // The last permission is the one that decides for which signer.
    reason = status.reason ?? "";
  }
  const [, kind, name] = /allowed by (\w+) "([^"]+)"/.exec(reason) ?? [];
  const binding = kind === undefined || name === undefined ? undefined : { kind, name };
  const found = bindings.find(({ metadata }) => metadata.name === name);
  return { right, subject, binding, isAlone: found?.subjects?.length === 1 };
}

/** Lists every subject of the bindings once. */
function listSubjects(bindings: readonly ClusterRoleBinding[]): readonly Subject[] {
  const subjects = bindings.flatMap(({ subjects = [] }) => subjects);
  return [...new Map(subjects.map((one) => [`${one.kind} ${one.namespace ?? ""} ${one.name}`, one])).values()];
}

/**
 * The user and the groups of a review. A group is reviewed for a user that does not exist, without the groups that every
 * user is in, so that the answer is about the group alone.
 */
function toReviewed(
  { kind, name, namespace }: Subject,
): { readonly user: string; readonly groups?: readonly string[] } {
  if (kind === "Group") return { user: "tlsboot:doctor", groups: [name] };
  return { user: kind === "ServiceAccount" ? `system:serviceaccount:${namespace ?? ""}:${name}` : name };
}
