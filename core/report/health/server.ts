/** The checks of a server through its API: its requests, policies and tokens, and what it publishes for machines. */
import type { Policy } from "../../approval/policy.ts";
import { isSettled } from "../../approval/recognizers.ts";
import {
  CLUSTER_INFO_KUBECONFIG_KEY,
  encodeClusterInfo,
  namesOtherCa,
  parsePublishedCluster,
} from "../../token/cluster_info.ts";
import type { TokenFacts } from "../../token/token_secret.ts";
import { describeMissingSigner, SIGNER_OVERDUE_MS } from "../../request/signer_name.ts";
import { findCondition, getCsrPhase } from "../../request/phase.ts";
import type { CertificateSigningRequest } from "../../kube/kinds/certificates_v1.ts";
import type { ConfigMap } from "../../kube/kinds/core_v1.ts";
import { getName } from "../../kube/meta.ts";
import type { CaRotation } from "../../kube/kinds/tlsboot_v1alpha1.ts";
import { goQuote } from "../../lib/quote.ts";
import { shellWord } from "../../lib/shell_word.ts";
import type { Fault } from "./finding.ts";
import type { ServerAnswer } from "./machine.ts";
import { checkPolicyRules } from "./policies.ts";

/** The evidence from the API of a server. */
export interface ServerEvidence {
  readonly requests: readonly CertificateSigningRequest[];
  /** The signers that run in the server; undefined when they are not known. */
  readonly signers: readonly string[] | undefined;
  readonly policies: readonly Policy[];
  readonly tokens: readonly TokenFacts[];
  /** The words that reach the server: `--data-dir DIR`. */
  readonly flags: string;
  readonly now: Date;
}

/** Kubernetes deletes a pending request after a day (`pkg/controller/certificates/cleaner/cleaner.go`). */
const PENDING_MAX_MS = 24 * 3_600_000;

/** Reports requests that no one has decided about for more than a day. The fix deletes them. */
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
 * Reports requests for signers that do not run: those that the server does not publish, and those that leave an approved
 * request without a certificate. The fix deletes a request; its owner may make another one.
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

/** Reports bootstrap tokens that never end. */
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

/** The cluster that `cluster-info` is compared with, and what the server that it names answers. */
export interface ClusterInfoEvidence {
  readonly clusterInfo: ConfigMap;
  readonly server: string;
  readonly caPem: string;
  /** The answer of the server that `cluster-info` names; undefined when that server was not asked. */
  readonly answer: ServerAnswer | undefined;
}

/** Checks that machines that join by `cluster-info` reach this server and trust it. */
export function checkClusterInfo(
  { clusterInfo, server, caPem, answer }: ClusterInfoEvidence,
  kubectl: string,
): readonly Fault[] {
  const published = parsePublishedCluster(clusterInfo);
  const message = published?.certificateAuthorityData === undefined
    ? "cluster-info names no server with its CA"
    : namesOtherCa(clusterInfo, caPem)
    ? "cluster-info has another CA than the kubeconfig"
    : answer?.kind === "untrusted" || answer?.kind === "unreachable"
    ? `the server ${published.server}, which cluster-info names, cannot be used: ${answer.reason}`
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
