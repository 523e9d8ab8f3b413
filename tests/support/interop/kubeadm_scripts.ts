/**
 * Scripts of stock kubeadm: tokens, the phases of `kubeadm init` that prepare a cluster for joining, and `kubeadm join` on
 * a machine. Also starts the two clusters that they run against.
 */
import { Buffer } from "node:buffer";
import { createHash, X509Certificate } from "node:crypto";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { SecretObject } from "../../../core/kube/kinds/core_v1.ts";
import { findServerPort } from "../temp.ts";
import { type ControlPlane, startControlPlane } from "./control_plane.ts";
import { type RunningInstance, startInstance } from "./instance.ts";
import { createKubectl, formatKubeconfig } from "./kubectl.ts";
import type { Command, Script, Target } from "./kubectl_comparison/comparison.ts";
import { type Machine, startMachine } from "./machine.ts";

/** The token that machines join with, made by `kubeadm init phase bootstrap-token`. */
const JOIN_TOKEN = "joiner.0123456789abcdef";

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

/** It sets the version, so that kubeadm does not look it up on the internet. */
const CLUSTER_CONFIG = `
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
controlPlaneEndpoint: \${server}
`;

/**
 * The configuration of `kubeadm init` for `${server}`, with which a kubelet starts on any machine. kubeadm refuses a
 * loopback address.
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

/** Prints a Secret as text, without its expiration. */
const DATA =
  `-o 'go-template={{.type}}{{range $key, $value := .data}}{{if ne $key "expiration"}} {{$key}}={{base64decode $value}}{{end}}{{end}}'`;
const getSecretCommand = (id: string): Command => kubectl(`get secret bootstrap-token-${id} -n kube-system ${DATA}`);

/** kubeadm token create, list and delete. */
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

/** kubeadm init phase bootstrap-token and upload-config, and the objects that they create. */
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

/** The name of the node that joins each cluster. */
export const NODE = "node-1";

/** The token of the identity `bootstrap`, once a script has created it. */
const BOOTSTRAPPER = "abcdef.0123456789abcdef";

/** Both clusters. Disposing ends them. */
interface Clusters extends AsyncDisposable {
  readonly plane: ControlPlane;
  readonly instance: RunningInstance;
  /** The real cluster, followed by tlsboot. */
  readonly targets: readonly [Target, Target];
}

export async function startClusters(): Promise<Clusters> {
  await using stack = new AsyncDisposableStack();
  const plane = stack.use(await startControlPlane());
  const dataDir = plane.folder.join("up");
  await mkdir(`${dataDir}/pki`, { recursive: true, mode: 0o700 });
  for (const file of ["ca.crt", "ca.key"]) await cp(plane.folder.join(file), `${dataDir}/pki/${file}`);
  const instance = stack.use(await startInstance({ dataDir }));
  const theirKubectl = createKubectl(plane.folder, plane.adminKubeconfig);
  for (const namespace of ["kube-public", "kube-system"]) {
    await theirKubectl.run("wait", `namespace/${namespace}`, "--for=create");
  }
  await theirKubectl.create(await ownToken(instance));
  const theirs = await createTarget(plane, plane.folder.join("kubernetes"), plane.server, plane.adminKubeconfig);
  stack.use(theirs.machine);
  const ours = await createTarget(plane, plane.folder.join("tlsboot"), instance.server, instance.adminKubeconfig);
  stack.use(ours.machine);
  const owned = stack.move();
  return {
    plane,
    instance,
    targets: [theirs.target, ours.target],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function createTarget(
  { folder, caPath }: ControlPlane,
  home: string,
  url: string,
  adminKubeconfig: string,
): Promise<{ readonly target: Target; readonly machine: Machine }> {
  await mkdir(home);
  const kubectl = createKubectl(folder, adminKubeconfig);
  await writeFile(`${home}/admin.kubeconfig`, await kubectl.run("config", "view", "--flatten"), { mode: 0o600 });
  const cluster = { server: url, "certificate-authority": caPath };
  const bootstrap = formatKubeconfig(cluster, { token: BOOTSTRAPPER });
  await writeFile(`${home}/bootstrap.kubeconfig`, bootstrap, { mode: 0o600 });
  const machine = await startMachine(home, NODE);
  const ca = await readFile(caPath, "utf8");
  const values = {
    machine: machine.root,
    socket: machine.runtimeSocket,
    caHash: publicKeyHash(ca),
    caData: Buffer.from(ca).toString("base64"),
    port: String(await findServerPort()),
    healthPort: String(await findServerPort()),
  };
  return { target: { server: new URL(url).host, home, bin: dirname(machine.enter), values }, machine };
}

/** Returns the token that `up` creates itself, and again if it is deleted. The other cluster needs the same token. */
async function ownToken({ kubectl }: RunningInstance): Promise<string> {
  const text = await kubectl.run(
    ...["get", "secrets", "--namespace=kube-system", "--field-selector=type=bootstrap.kubernetes.io/token"],
    "--output=json",
  );
  const { items: [own] } = JSON.parse(text) as { readonly items: readonly SecretObject[] };
  const metadata = { name: own?.metadata.name, namespace: own?.metadata.namespace };
  return JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata, type: own?.type, data: own?.data });
}

/** Hashes a public key as `--discovery-token-ca-cert-hash` expects it. */
function publicKeyHash(pem: string): string {
  const spki = new X509Certificate(pem).publicKey.export({ type: "spki", format: "der" });
  return `sha256:${createHash("sha256").update(spki).digest("hex")}`;
}

/** A step on the machine of the target, which must succeed unless `code` is given. */
function machine(run: string, code = 0): Command {
  return { run, program: "machine", code };
}

/** Flags for any machine: the host may lack what a node needs, which is not tested. */
const ANY_MACHINE = `--node-name ${NODE} --cri-socket unix://\${socket} --ignore-preflight-errors all`;
const PIN = "--discovery-token-ca-cert-hash ${caHash}";
const WRONG_PIN = `--discovery-token-ca-cert-hash sha256:${"0".repeat(64)}`;

/** Discovers the cluster and reads what `upload-config` stored. Nothing is written. */
const discover = (run: string, code = 0): Command => machine(`kubeadm join phase preflight ${run}`, code);
const byFlags = (run: string, code = 0): Command => discover(`\${server} ${run} ${ANY_MACHINE}`, code);
const byFile = (name: string, code = 0): Command =>
  discover(`--config \${home}/kubeadm-join-discovery/${name} --ignore-preflight-errors all`, code);

/** Formats a configuration. kubeadm retries each failure until the timeout, which is short here. */
const joinConfig = (discovery: string, timeouts = "timeouts: {discovery: 6s, kubernetesAPICall: 6s}"): string => `
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
nodeRegistration: {name: ${NODE}, criSocket: "unix://\${socket}"}
${timeouts}
discovery:
  ${discovery}
`;

const byToken = (token: string): string =>
  `bootstrapToken: {apiServerEndpoint: "\${server}", token: ${token}, caCertHashes: ["\${caHash}"]}`;

const discoveryFile = (user: string): string => `
apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: "https://\${server}", certificate-authority-data: \${caData}}}]
users: [{name: lab, user: {${user}}}]
contexts: [{name: lab, context: {cluster: lab, user: lab}}]
current-context: lab
`;

/** Every way to find the cluster, and the ways that must fail. */
export const discovery: Script = {
  title: "kubeadm join discovery",
  files: {
    "right.yaml": joinConfig(byToken(JOIN_TOKEN), ""),
    "wrong-secret.yaml": joinConfig(byToken("joiner.fedcba9876543210")),
    "unknown-token.yaml": joinConfig(byToken("nobody.0123456789abcdef")),
    "token-that-does-not-sign.yaml": joinConfig(byToken("second.0123456789abcdef")),
    "token-that-may-not-join.yaml": joinConfig(`tlsBootstrapToken: second.0123456789abcdef\n  ${byToken(JOIN_TOKEN)}`),
    "wrong-bootstrap-token.yaml": joinConfig(`tlsBootstrapToken: nobody.0123456789abcdef\n  ${byToken(JOIN_TOKEN)}`),
    "discovery.kubeconfig": discoveryFile(""),
    "discovery-with-token.kubeconfig": discoveryFile(`token: ${JOIN_TOKEN}`),
  },
  steps: [
    byFlags(`--token ${JOIN_TOKEN} ${PIN}`),
    byFlags(`--token ${JOIN_TOKEN} ${WRONG_PIN}`, 1),
    byFlags(`--token ${JOIN_TOKEN} ${WRONG_PIN} ${PIN}`),
    byFlags(`--token ${JOIN_TOKEN}`, 1),
    byFlags(`--token ${JOIN_TOKEN} --discovery-token-unsafe-skip-ca-verification`),
    byFile("right.yaml"),
    byFile("wrong-secret.yaml", 1),
    byFile("unknown-token.yaml", 1),
    byFile("token-that-does-not-sign.yaml", 1),
    byFile("token-that-may-not-join.yaml", 1),
    byFile("wrong-bootstrap-token.yaml", 1),
    ...[`discovery.kubeconfig --tls-bootstrap-token ${JOIN_TOKEN}`, "discovery-with-token.kubeconfig"].map((file) =>
      discover(`--discovery-file \${home}/kubeadm-join-discovery/${file} ${ANY_MACHINE}`)
    ),
    // kubeadm expects an address without a scheme.
    discover(`https://\${server} --token ${JOIN_TOKEN} ${PIN} ${ANY_MACHINE}`, 1),
  ],
};

/** A complete join, after which the machine is a node, and a reset. */
export const joining: Script = {
  title: "kubeadm join",
  generated: ["csr-"],
  steps: [
    // The printed cluster-info names the manager that wrote it.
    machine(
      `sh -c 'KUBEADM_JOIN_DRYRUN_DIR=/tmp kubeadm join \${server} --token ${JOIN_TOKEN} ${PIN} ${ANY_MACHINE} ` +
        `--dry-run | grep ^.kubelet'`,
    ),
    machine(`kubeadm join \${server} --token ${JOIN_TOKEN} ${PIN} ${ANY_MACHINE}`),
    machine("ls -R /etc/kubernetes"),
    machine("cat /etc/kubernetes/kubelet.conf /var/lib/kubelet/config.yaml /var/lib/kubelet/kubeadm-flags.env"),
    machine("stat -L -c '%a %n' /etc/kubernetes/kubelet.conf /var/lib/kubelet/pki/kubelet-client-current.pem"),
    machine("openssl verify -CAfile /etc/kubernetes/pki/ca.crt /var/lib/kubelet/pki/kubelet-client-current.pem"),
    machine(
      "openssl x509 -in /var/lib/kubelet/pki/kubelet-client-current.pem -noout -subject -issuer -ext extendedKeyUsage",
    ),
    machine(
      "kubectl --kubeconfig /etc/kubernetes/kubelet.conf auth whoami -o 'jsonpath={.status.userInfo.username} {.status.userInfo.groups}'",
    ),
    kubectl(`wait node/${NODE} --for=create --timeout=150s`),
    kubectl(`wait node/${NODE} --for=condition=Ready --timeout=150s`),
    kubectl("get nodes"),
    kubectl("get csr"),
    // There is a node of this name, and it is Ready.
    machine(`kubeadm join \${server} --token ${JOIN_TOKEN} ${PIN} ${ANY_MACHINE}`, 1),
    machine("kubeadm reset --force"),
    machine("ls -R /etc/kubernetes"),
  ],
};
