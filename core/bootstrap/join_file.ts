/**
 * The join file of one machine: a bootstrap kubeconfig that stock kubelet can read, which also names the node and the
 * files of the machine, so that `tlsboot bootstrap --join FILE` needs no other flag.
 */
import { Secret } from "../lib/brand.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { encodeKubeconfig, parseKubeconfig } from "../kube/kubeconfig.ts";
import { formatTime } from "../kube/meta.ts";
import { formatJoinCommands, type JoinTarget, KUBELET_PATHS } from "./join_command.ts";
import { type NodeName, parseNodeName } from "./node_name.ts";
import { type BootstrapToken, formatBootstrapToken } from "./token.ts";

/** The name of the extension in the kubeconfig. */
const EXTENSION = "tlsboot.join";
/** The names in the Kubernetes documentation of TLS bootstrapping. */
const USER_NAME = "kubelet-bootstrap";
const CLUSTER_NAME = "kubernetes";
const CONTEXT_NAME = "bootstrap";

/** The machine of a join file, and where its files belong. */
export interface JoinedMachine {
  readonly node: NodeName;
  readonly kubeconfig: string;
  readonly certDir: string;
}

/** The contents of a join file. */
export interface JoinFile {
  readonly node: NodeName;
  readonly target: JoinTarget;
  readonly token: BootstrapToken;
  /** When the token expires; absent for one that never does. */
  readonly expiration?: Date;
  /** The name of the file in the command that its head shows. */
  readonly fileName: string;
}

/** Formats a join file. It contains the token, and its head has the commands for the machine. */
export function formatJoinFile({ node, target, token, expiration, fileName }: JoinFile): string {
  const { server, caPem, pins } = target;
  const until = expiration === undefined ? "" : `, until ${formatTime(expiration)}`;
  const { kubeadm } = formatJoinCommands(target, token, node);
  const head = [
    `This file lets the machine ${node} join ${server}${until}. It contains a token: copy it to the machine alone.`,
    `On the machine: tlsboot bootstrap --join ${fileName}`,
    `Or with kubeadm: ${kubeadm}`,
    ...pins.map((pin) => `CA: ${pin}`),
  ];
  const { kubeconfig, certDir } = KUBELET_PATHS;
  return head.map((line) => `# ${line}\n`).join("") + encodeKubeconfig({
    clusters: [{ name: CLUSTER_NAME, cluster: { server, certificateAuthorityData: caPem } }],
    contexts: [{ name: CONTEXT_NAME, context: { cluster: CLUSTER_NAME, user: USER_NAME } }],
    users: [{ name: USER_NAME, user: { token: new Secret(formatBootstrapToken(token)) } }],
    currentContext: CONTEXT_NAME,
    extensions: [{ name: EXTENSION, extension: { certDir, kubeconfig, node } }],
  });
}

/** Parses the machine of a join file. The error is one whole sentence that names the path. */
export function parseJoinFile(text: string, path: string): Result<JoinedMachine, string> {
  const config = parseKubeconfig(text, path);
  if (!config.ok) return config;
  const found = config.value.extensions?.find(({ name }) => name === EXTENSION)?.extension;
  if (typeof found !== "object" || found === null) {
    return err(`cannot use "${path}" as a join file: it has no extension "${EXTENSION}"`);
  }
  const fields: Readonly<Record<string, unknown>> = { ...found };
  const { node: name, kubeconfig, certDir } = fields;
  const node = typeof name === "string" ? parseNodeName(name) : err("it names no node");
  if (!node.ok) return err(`cannot use "${path}" as a join file: ${node.error}`);
  if (typeof kubeconfig !== "string" || typeof certDir !== "string") {
    return err(`cannot use "${path}" as a join file: it names no kubeconfig or no folder for certificates`);
  }
  return ok({ node: node.value, kubeconfig, certDir });
}
