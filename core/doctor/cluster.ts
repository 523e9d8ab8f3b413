/** The checks of what a cluster publishes for its machines: `cluster-info`, and CAs that are being replaced. */
import {
  CLUSTER_INFO_KUBECONFIG_KEY,
  encodeClusterInfo,
  namesOtherCa,
  parsePublishedCluster,
} from "../bootstrap/cluster_info.ts";
import type { ConfigMap } from "../kube/core_v1.ts";
import { getName } from "../kube/meta.ts";
import type { CaRotation } from "../kube/tlsboot_v1alpha1.ts";
import { goQuote } from "../lib/quote.ts";
import { shellWord } from "../lib/shell_word.ts";
import type { Fault } from "./finding.ts";
import type { ServerAnswer } from "./machine.ts";

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
      message: `CA ${goQuote(name)} is being replaced since ${status.beganAt ?? "now"}, and the step is ${spec.step}`,
      advice: `finish the replacement: tlsboot ca rotate status ${name} --kubeconfig ${kubeconfig}`,
    }];
  });
}
