/** What a machine runs to join: address, token and hash of the CA in one line (`kubeadm token create --print-join-command`). */
import type { ConfigMap } from "../kube/core_v1.ts";
import { parseKubeconfig } from "../kube/kubeconfig.ts";
import { parseCaBundle } from "../pki/ca_bundle.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/public_key_pin.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { CLUSTER_INFO_KUBECONFIG_KEY, CLUSTER_INFO_NAME } from "./cluster_info.ts";
import { type BootstrapToken, formatBootstrapToken } from "./token.ts";

/** What machines are told of a cluster. */
export interface JoinTarget {
  /** `https://host:port`. */
  readonly server: string;
  /** Of each CA that may vouch for the server. */
  readonly pins: readonly PublicKeyPin[];
}

/** It becomes a word of a command that people paste: nothing in it means anything to a shell. */
const PLAIN_WORD = /^[\w.:/~[\]-]+$/;

/** Reads the target from `cluster-info`, which is where a machine will look. */
export function parseJoinTarget(clusterInfo: ConfigMap): Result<JoinTarget, string> {
  const config = parseKubeconfig(clusterInfo.data?.[CLUSTER_INFO_KUBECONFIG_KEY] ?? "", CLUSTER_INFO_NAME);
  if (!config.ok) return config;
  const cluster = config.value.clusters[0]?.cluster;
  if (cluster === undefined || URL.parse(cluster.server)?.protocol !== "https:") {
    return err(`${CLUSTER_INFO_NAME} names no server`);
  }
  if (!PLAIN_WORD.test(cluster.server)) {
    return err(`the server in ${CLUSTER_INFO_NAME} has characters that have no place in a command`);
  }
  const bundle = parseCaBundle(cluster.certificateAuthorityData ?? "");
  if (!bundle.ok) return err(`the CA in ${CLUSTER_INFO_NAME} cannot be read: ${bundle.error}`);
  return ok({ server: cluster.server, pins: bundle.value.map(publicKeyPin) });
}

/** Both lines. They reveal the token: this is what they are for. */
export function formatJoinCommands(
  { server, pins }: JoinTarget,
  token: BootstrapToken,
): { readonly tlsboot: string; readonly kubeadm: string } {
  const secret = formatBootstrapToken(token);
  const hashes = (flag: string): string => pins.map((pin) => ` ${flag} ${pin}`).join("");
  return {
    tlsboot: `tlsboot bootstrap --server ${server} --token ${secret}${hashes("--ca-cert-hash")} ` +
      "--kubeconfig /etc/kubernetes/kubelet.conf --cert-dir /var/lib/kubelet/pki",
    kubeadm: `kubeadm join ${toEndpoint(server)} --token ${secret}${hashes("--discovery-token-ca-cert-hash")}`,
  };
}

/** kubeadm wants `host:port`, and takes 6443 where the port is missing. */
function toEndpoint(server: string): string {
  const { hostname, port } = new URL(server);
  return `${hostname}:${port === "" ? "443" : port}`;
}
