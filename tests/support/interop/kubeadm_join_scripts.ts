/** kubeadm join on a machine: how it finds the cluster, what it refuses to trust, and the whole of it. */
import type { Command, Script } from "./kubectl_comparison/comparison.ts";
import { NODE } from "./kubeadm_places.ts";
import { JOIN_TOKEN, kubectl } from "./kubeadm_scripts.ts";

/** A step on the machine of the place, which must succeed unless `code` is given. */
function machine(run: string, code = 0): Command {
  return { run, program: "machine", code };
}

/** The machine that the tests run on may lack what a node needs; it is not what is tested. */
const ANY_MACHINE = `--node-name ${NODE} --cri-socket unix://\${socket} --ignore-preflight-errors all`;
const PIN = "--discovery-token-ca-cert-hash ${caHash}";
const WRONG_PIN = `--discovery-token-ca-cert-hash sha256:${"0".repeat(64)}`;

/** Discovery, and the reading of what `upload-config` stored; nothing is written. */
const discover = (run: string, code = 0): Command => machine(`kubeadm join phase preflight ${run}`, code);
const byFlags = (run: string, code = 0): Command => discover(`\${server} ${run} ${ANY_MACHINE}`, code);
const byFile = (name: string, code = 0): Command =>
  discover(`--config \${home}/kubeadm-join-discovery/${name} --ignore-preflight-errors all`, code);

/** A complete configuration. kubeadm repeats each failure until its timeout, which is short here. */
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
    // An address is no URL.
    discover(`https://\${server} --token ${JOIN_TOKEN} ${PIN} ${ANY_MACHINE}`, 1),
  ],
};

/** The whole of it: afterwards the machine is a node. */
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
