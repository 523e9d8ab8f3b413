/** Prints the command with which a machine joins (`kubeadm token create --print-join-command`). */
import type { ConfigMap } from "../kube/kinds/core_v1.ts";
import { parseKubeconfig } from "../kube/kubeconfig.ts";
import { parseCaBundle } from "../pki/ca_bundle.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/public_key_pin.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { NodeName } from "./node_name.ts";
import { CLUSTER_INFO_KUBECONFIG_KEY, CLUSTER_INFO_NAME } from "./cluster_info.ts";
import { type BootstrapToken, formatBootstrapToken } from "./token.ts";

/** The address and the CA pins that a join command contains. */
export interface JoinTarget {
  /** The address of the server, `https://host:port`. */
  readonly server: string;
  /** The CAs of the server as PEM. */
  readonly caPem: string;
  /** The pin of each CA in the bundle. */
  readonly pins: readonly PublicKeyPin[];
}

/** Reports whether a server can be a word of a command that users paste: it has no character that a shell interprets. */
export function isPlainWord(server: string): boolean {
  return /^[\w.:/~[\]-]+$/.test(server);
}

/** Reads the target from `cluster-info`, which the joining machine reads as well. */
export function parseJoinTarget(clusterInfo: ConfigMap): Result<JoinTarget, string> {
  const config = parseKubeconfig(clusterInfo.data?.[CLUSTER_INFO_KUBECONFIG_KEY] ?? "", CLUSTER_INFO_NAME);
  if (!config.ok) return config;
  const cluster = config.value.clusters[0]?.cluster;
  if (cluster === undefined || URL.parse(cluster.server)?.protocol !== "https:") {
    return err(`${CLUSTER_INFO_NAME} names no server`);
  }
  if (!isPlainWord(cluster.server)) {
    return err(`the server in ${CLUSTER_INFO_NAME} has characters that have no place in a command`);
  }
  const { certificateAuthorityData: caPem = "" } = cluster;
  const bundle = parseCaBundle(caPem);
  if (!bundle.ok) return err(`the CA in ${CLUSTER_INFO_NAME} cannot be read: ${bundle.error}`);
  return ok({ server: cluster.server, caPem, pins: bundle.value.map(publicKeyPin) });
}

/** The files of kubelet, which a machine has that joins a cluster. */
export const KUBELET_PATHS = {
  /** The kubeconfig with the token, where kubeadm puts its own. */
  bootstrapKubeconfig: "/etc/kubernetes/bootstrap-kubelet.conf",
  kubeconfig: "/etc/kubernetes/kubelet.conf",
  certDir: "/var/lib/kubelet/pki",
} as const;

/**
 * Formats the commands of tlsboot and kubeadm. They contain the token in plain text, and the name of the machine when the
 * token is for one node.
 */
export function formatJoinCommands(
  { server, pins }: Omit<JoinTarget, "caPem">,
  token: BootstrapToken,
  node?: NodeName,
): { readonly tlsboot: string; readonly kubeadm: string } {
  const secret = formatBootstrapToken(token);
  const hashes = (flag: string): string => pins.map((pin) => ` ${flag} ${pin}`).join("");
  return {
    tlsboot: `tlsboot bootstrap --server ${server} --token ${secret}${hashes("--ca-cert-hash")} ` +
      `--kubeconfig ${KUBELET_PATHS.kubeconfig} --cert-dir ${KUBELET_PATHS.certDir}` +
      (node === undefined ? "" : ` --hostname-override ${node}`),
    kubeadm: `kubeadm join ${toEndpoint(server)} --token ${secret}${hashes("--discovery-token-ca-cert-hash")}` +
      (node === undefined ? "" : ` --node-name ${node}`),
  };
}

/** kubeadm expects `host:port` and defaults to port 6443, so the port is always written. */
function toEndpoint(server: string): string {
  const { hostname, port } = new URL(server);
  return `${hostname}:${port === "" ? "443" : port}`;
}
