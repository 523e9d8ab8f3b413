/** Checks a server through its API: its requests, policies and tokens, and the ConfigMap with which machines join. */
import type { Policy } from "../../approval/policy.ts";
import { isSettled } from "../../approval/recognizers.ts";
import {
  CLUSTER_INFO_KUBECONFIG_KEY,
  encodeClusterInfo,
  holdsOtherCa,
  parsePublishedCluster,
} from "../../token/cluster_info.ts";
import type { TokenFacts } from "../../token/token_secret.ts";
import { describeMissingSigner, SIGNER_OVERDUE_MS } from "../../request/signer_name.ts";
import { findCondition, getCsrPhase } from "../../request/phase.ts";
import type { CertificateSigningRequest } from "../../kube/kinds/certificates_v1.ts";
import type { ConfigMap } from "../../kube/kinds/core_v1.ts";
import { getName } from "../../kube/meta.ts";
import type { CaRotation, IssuedCertificate } from "../../kube/kinds/tlsboot_v1alpha1.ts";
import { goQuote } from "../../lib/go_text.ts";
import { shellWord } from "../../lib/printable.ts";
import type { Fault } from "./finding.ts";
import type { ServerAnswer } from "./machine.ts";
import { checkPolicyRules } from "./policies.ts";
import type { Inventory } from "../../approval/evidence/inventory.ts";
import { describeStoredProof, parseTokenProof } from "../../attestation/proof.ts";
import { findNodeOfRecord } from "../record_rows.ts";
import { DAY_MS } from "../../lib/duration.ts";

/** The evidence from the API of a server. */
export interface ServerEvidence {
  readonly requests: readonly CertificateSigningRequest[];
  /** The signers that run in the server; undefined when they are not known. */
  readonly signers: readonly string[] | undefined;
  readonly policies: readonly Policy[];
  readonly tokens: readonly TokenFacts[];
  /** The flags that select the server: `--data-dir DIR`. */
  readonly flags: string;
  readonly now: Date;
}

/** Kubernetes deletes a pending request after a day (`pkg/controller/certificates/cleaner/cleaner.go`). */
const PENDING_MAX_MS = DAY_MS;

/** Reports requests that have been pending for more than a day. The fix deletes them. */
export function checkPendingRequests({ requests, flags, now }: ServerEvidence): readonly Fault[] {
  const old = requests.filter((csr) =>
    getCsrPhase(csr).kind === "pending" &&
    now.getTime() - Date.parse(csr.metadata.creationTimestamp ?? "") > PENDING_MAX_MS
  );
  return old.map((csr): Fault => {
    const name = csr.metadata.name ?? "";
    return {
      severity: "warning",
      message: `request "${name}" has waited for an approver for more than a day, and no controller has deleted it`,
      fix: `tlsboot delete csr ${shellWord(name)} ${flags}`,
    };
  });
}

/**
 * Reports requests for signers that do not run: the server does not list the signer, or the request is approved and has
 * no certificate. The fix deletes a request; its owner can send another one.
 */
export function checkRequestedSigners({ requests, signers, flags, now }: ServerEvidence): readonly Fault[] {
  return requests.flatMap((csr): readonly Fault[] => {
    const { signerName } = csr.spec;
    const approvedAt = Date.parse(findCondition(csr, "Approved")?.lastUpdateTime ?? "");
    const isOverdue = getCsrPhase(csr).kind === "approved" && now.getTime() - approvedAt > SIGNER_OVERDUE_MS;
    const isUnserved = signers !== undefined && !signers.includes(signerName) && !isSettled(csr);
    if (!isOverdue && !isUnserved) return [];
    const name = csr.metadata.name ?? "";
    return [{
      severity: "warning",
      message: `request "${name}" is ${
        isUnserved ? "for a signer that does not run in the server" : "approved, and no signer has issued it"
      }: ${describeMissingSigner(signerName)}`,
      fix: `tlsboot delete csr ${shellWord(name)} ${flags}`,
    }];
  });
}

/** Reports rules of the approver's policies that never apply. */
export function checkServerPolicies({ policies }: ServerEvidence): readonly Fault[] {
  return policies.flatMap((policy) => checkPolicyRules(policy, { file: policy.name, text: "" }));
}

/** Reports bootstrap tokens that never expire. */
export function checkTokens({ tokens, flags }: ServerEvidence): readonly Fault[] {
  return tokens.flatMap(({ id, expiration }): readonly Fault[] => {
    if (expiration.kind !== "never") return [];
    return [{
      severity: "warning",
      message: `the bootstrap token ${id} never expires: anyone who has it can request certificates`,
      fix: `tlsboot token delete ${shellWord(id)} ${flags}`,
    }];
  });
}

/** The machines whose proofs the inventory lists, and the records of their client certificates. */
export interface ProofEvidence {
  readonly inventory: Inventory;
  readonly records: readonly IssuedCertificate[];
  readonly now: Date;
}

/** Reports machines that have a valid certificate, but have never given the proof that the inventory lists. */
export function checkProofs({ inventory, records, now }: ProofEvidence): readonly Fault[] {
  return listProvingMachines(inventory, records).flatMap(({ node, own }): readonly Fault[] => {
    const valid = own.filter(({ spec, status }) =>
      status?.revocation === undefined && spec.notAfter !== null && now < new Date(spec.notAfter)
    );
    const [serialNumber] = valid.flatMap(({ spec }) => spec.serialNumber ?? []);
    if (serialNumber === undefined || own.some(({ spec }) => spec.requester?.attested !== undefined)) return [];
    return [{
      severity: "warning",
      message: `machine ${node} has a certificate, but it has never given the proof that the inventory lists`,
      advice: `on ${node}, run tlsboot bootstrap --attest KIND; if the certificate is not its own, revoke it: ` +
        `tlsboot revoke ${shellWord(serialNumber)}`,
    }];
  });
}

/** Describes the last proof; undefined when there is none. */
export function describeLastProof({ inventory, records }: ProofEvidence): string | undefined {
  const proofs = listProvingMachines(inventory, records).flatMap(({ node, own }) => {
    const [attested] = own.flatMap(({ spec }) => spec.requester?.attested ?? []).slice(-1);
    return attested === undefined ? [] : [{ node, attested }];
  });
  const last = proofs.toSorted((a, b) => getProofTime(a.attested) - getProofTime(b.attested)).at(-1);
  if (last === undefined) return undefined;
  const count = proofs.length === 1 ? "1 machine has" : `${proofs.length} machines have`;
  return `${count} given a proof; the last one was ${last.node}, by ${describeStoredProof(last.attested)}`;
}

function getProofTime(attested: string): number {
  return parseTokenProof(attested)?.at.getTime() ?? 0;
}

/** Lists the machines with a proof in the inventory, each with the records of its certificates, the newest last. */
function listProvingMachines(
  inventory: Inventory,
  records: readonly IssuedCertificate[],
): readonly { readonly node: string; readonly own: readonly IssuedCertificate[] }[] {
  const byNode = Map.groupBy(records, findNodeOfRecord);
  return [...inventory].filter(([, { proofs }]) => proofs !== undefined)
    .map(([node]) => ({ node, own: byNode.get(node) ?? [] }));
}

/** The cluster to compare `cluster-info` with, and the answer of the server in it. */
interface ClusterInfoEvidence {
  readonly clusterInfo: ConfigMap;
  readonly server: string;
  readonly caPem: string;
  /** The answer of the server in `cluster-info`; undefined when that server was not asked. */
  readonly answer: ServerAnswer | undefined;
}

/** Checks that machines that join with `cluster-info` reach this server and trust it. */
export function checkClusterInfo(
  { clusterInfo, server, caPem, answer }: ClusterInfoEvidence,
  kubectl: string,
): readonly Fault[] {
  const published = parsePublishedCluster(clusterInfo);
  const message = published?.certificateAuthorityData === undefined
    ? "cluster-info has no server with its CA"
    : holdsOtherCa(clusterInfo, caPem)
    ? "cluster-info has another CA than the kubeconfig"
    : answer?.kind === "untrusted" || answer?.kind === "unreachable"
    ? `the server ${published.server}, which cluster-info publishes, cannot be used: ${answer.reason}`
    : undefined;
  if (message === undefined) return [];
  const patch = { data: { [CLUSTER_INFO_KUBECONFIG_KEY]: encodeClusterInfo({ server, caPem }) } };
  return [{
    severity: "warning",
    message: `${message}, so machines cannot join with a bootstrap token alone`,
    fix: `${kubectl} --namespace kube-public patch configmap cluster-info --patch ${shellWord(JSON.stringify(patch))}`,
  }];
}

/** Reports CAs that are being replaced. `kubeconfig` is the shell word of the kubeconfig in use. */
export function checkRotations(rotations: readonly CaRotation[], kubeconfig: string): readonly Fault[] {
  return rotations.flatMap((rotation): readonly Fault[] => {
    const { spec, status } = rotation;
    if ((status.finishedAt ?? null) !== null) return [];
    const name = getName(rotation);
    return [{
      severity: "warning",
      message: `the replacement of CA ${goQuote(name)} began at ${
        status.beganAt ?? "an unknown time"
      }, and the step is ${spec.step}`,
      advice: `finish the replacement: tlsboot ca rotate status ${name} --kubeconfig ${kubeconfig}`,
    }];
  });
}
