/** kubeadm's commands that make a cluster ready for others to join: tokens, and the phases of `kubeadm init`. */
import type { Command, Script } from "./kubectl_comparison/comparison.ts";

/** The token that machines join with, made by `kubeadm init phase bootstrap-token`. */
export const JOIN_TOKEN = "joiner.0123456789abcdef";

/** A step with stock kubeadm, which must succeed unless a code is given. */
function kubeadm(run: string, more: Omit<Command, "run" | "program"> = {}): Command {
  return { run, program: "kubeadm", code: 0, ...more };
}

/** A step that kubeadm must refuse. */
function refused(run: string, more: Omit<Command, "run" | "program"> = {}): Command {
  return kubeadm(run, { code: 1, ...more });
}

/** A step with kubectl, which must succeed. */
export function kubectl(run: string): Command {
  return { run, code: 0 };
}

/** The version is named, so that kubeadm does not query the internet for the newest. */
const CLUSTER_CONFIG = `
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
controlPlaneEndpoint: \${server}
`;

/**
 * The configuration of `kubeadm init` for `${server}`; the kubelet's part lets one start on any machine. kubeadm
 * refuses a loopback address.
 */
export const INIT_CONFIG = `
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 192.0.2.1}
nodeRegistration: {name: control-plane, criSocket: "unix:///nobody.sock"}
bootstrapTokens:
- {token: ${JOIN_TOKEN}, ttl: 2h0m0s, description: for machines}
- {token: second.0123456789abcdef, ttl: 0s, usages: [authentication], groups: ["system:bootstrappers:second"]}
---
${CLUSTER_CONFIG}---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failSwapOn: false
failCgroupV1: false
cgroupsPerQOS: false
enforceNodeAllocatable: [none]
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
volumePluginDir: /var/lib/kubelet/volumeplugins
address: 127.0.0.1
port: \${port}
healthzPort: \${healthPort}
`;

/** A Secret as text, without the times in it. */
const DATA =
  `-o 'go-template={{.type}}{{range $key, $value := .data}}{{if ne $key "expiration"}} {{$key}}={{base64decode $value}}{{end}}{{end}}'`;
const getSecretCommand = (id: string): Command => kubectl(`get secret bootstrap-token-${id} -n kube-system ${DATA}`);

/** token create, list and delete. */
export const tokens: Script = {
  title: "kubeadm token",
  files: {
    "token.yaml": `
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 192.0.2.1}
bootstrapTokens:
- {token: config.0123456789abcdef, ttl: 48h0m0s, description: from a file}
---
${CLUSTER_CONFIG}`,
    // Without the flag kubeadm retries for a minute.
    "forbidden.yaml": `
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 192.0.2.1}
bootstrapTokens: [{token: forbid.0123456789abcdef}]
timeouts: {kubernetesAPICall: 6s}
---
${CLUSTER_CONFIG}`,
  },
  steps: [
    kubeadm("token list"),
    kubeadm("token list -o json"),
    kubeadm("token create abcdef.0123456789abcdef"),
    refused("token create abcdef.0123456789abcdef"),
    getSecretCommand("abcdef"),
    kubeadm(
      "token create ghijkl.0123456789abcdef --ttl 2h --usages signing,authentication " +
        "--groups system:bootstrappers:a,system:bootstrappers:b-c --description 'of the lab'",
    ),
    getSecretCommand("ghijkl"),
    kubeadm("token create mnopqr.0123456789abcdef --ttl 0 --usages authentication"),
    getSecretCommand("mnopqr"),
    kubeadm("token create stuvwx.0123456789abcdef --print-join-command"),
    kubeadm("token create --config token.yaml"),
    getSecretCommand("config"),
    kubeadm("token create dryrun.0123456789abcdef --ttl 0 --dry-run"),
    refused("token create yyyyyy.0123456789abcdef --usages signing"),
    refused("token create short.0123456789abcdef"),
    refused("token create yyyyyy.0123456789abcdef --groups system:masters"),
    refused("token create yyyyyy.0123456789abcdef --usages everything"),
    kubeadm("token list"),
    ...["json", "yaml", "'jsonpath={.token} {.usages}'", "'go-template={{.token}} {{.description}}'"].map((format) =>
      kubeadm(`token list -o ${format}`)
    ),
    refused("token list", { as: "bootstrap" }),
    refused("token create --config forbidden.yaml", { as: "bootstrap" }),
    refused("token delete mnopqr", { as: "bootstrap" }),
    kubeadm("token delete mnopqr"),
    refused("token delete mnopqr"),
    refused("token delete config.0123456789abcdef stuvwx nobody ghijkl"),
    refused("token delete wrong"),
    kubeadm("token list"),
    kubeadm("token delete ghijkl abcdef"),
  ],
};

/** Tokens that kubeadm generates, which no later step lists. */
export const randomTokens: Script = {
  title: "kubeadm token create without a token",
  steps: [
    kubeadm("token create"),
    kubeadm("token create --ttl 1h --print-join-command"),
    kubeadm("token generate"),
  ],
};

const CLUSTER_OBJECTS = "clusterrole/kubeadm:get-nodes " + [
  "apiserver-kubelet-client",
  "get-nodes",
  "kubelet-bootstrap",
  "node-autoapprove-bootstrap",
  "node-autoapprove-certificate-rotation",
].map((name) => `clusterrolebinding/kubeadm:${name}`).join(" ");
const READERS = "role/kubeadm:bootstrap-signer-clusterinfo rolebinding/kubeadm:bootstrap-signer-clusterinfo";
const CONFIGS = "configmap/kubeadm-config configmap/kubelet-config " +
  ["kubelet-config", "nodes-kubeadm-config"].map((name) => `role/kubeadm:${name} rolebinding/kubeadm:${name}`).join(
    " ",
  );

/** init phase bootstrap-token and upload-config, and the objects that they create. */
export const preparing: Script = {
  title: "kubeadm init phase",
  files: { "init.yaml": INIT_CONFIG },
  steps: [
    kubeadm("init phase bootstrap-token --config init.yaml --kubeconfig ../admin.kubeconfig"),
    kubectl(`get -o yaml --show-managed-fields ${CLUSTER_OBJECTS}`),
    kubectl(`get -n kube-public -o yaml ${READERS}`),
    getSecretCommand("joiner"),
    getSecretCommand("second"),
    kubectl("wait configmap/cluster-info -n kube-public --for=jsonpath={.data.jws-kubeconfig-joiner} --timeout=150s"),
    kubectl("get configmap cluster-info -n kube-public -o jsonpath={.data.kubeconfig}"),
    kubectl("get configmap cluster-info -n kube-public -o name --as=system:anonymous"),
    { run: "get configmaps -n kube-public --as=system:anonymous", code: 1 },
    kubeadm("init phase bootstrap-token --config init.yaml --kubeconfig ../admin.kubeconfig --skip-token-print"),
    kubeadm("init phase upload-config all --config init.yaml --kubeconfig ../admin.kubeconfig"),
    kubeadm("init phase upload-config all --config init.yaml --kubeconfig ../admin.kubeconfig"),
    kubectl(`get -n kube-system -o yaml --show-managed-fields ${CONFIGS}`),
    refused("init phase bootstrap-token --config init.yaml --kubeconfig nobody.kubeconfig"),
  ],
};
