/** The forms in which a machine gets its join material: a command, a bootstrap kubeconfig, or the files of a pack. */
import { encodeBase64 } from "../lib/encodings.ts";
import { Secret } from "../lib/brand.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { isPlainWord, shellWord } from "../lib/printable.ts";
import type { TextFile } from "../lib/tar.ts";
import { formatYaml } from "../lib/yaml/format.ts";
import type { ConfigMap } from "../kube/kinds/core_v1.ts";
import { encodeKubeconfig, parseKubeconfig } from "../kube/kubeconfig/kubeconfig.ts";
import { formatTime } from "../kube/meta.ts";
import { type PublicKeyPin, publicKeyPin } from "../pki/keys/key_names.ts";
import {
  CLUSTER_INFO_KUBECONFIG_KEY,
  CLUSTER_INFO_NAME,
  parseClusterInfo,
  type PublishedCluster,
} from "./cluster_info.ts";
import { type NodeName, parseNodeName } from "../machine/node_name.ts";
import { type BootstrapToken, formatBootstrapToken } from "./token_secret.ts";

/** The address and the CAs of a cluster that machines join. */
export interface JoinTarget extends PublishedCluster {
  /** The pin of each CA in the bundle. */
  readonly pins: readonly PublicKeyPin[];
  /** Whether `cluster-info` publishes the cluster, so that a pin is enough for a machine. */
  readonly isPublished: boolean;
}

/** The address, CAs and credentials with which a machine joins a cluster. */
interface JoinMaterial extends JoinTarget {
  readonly token: BootstrapToken;
  /** When the token expires; undefined for one that never does. */
  readonly expiration: Date | undefined;
  /** The only node that the token is for; undefined for any node. */
  readonly node: NodeName | undefined;
}

/** The paths of kubelet's files on a machine that joins a cluster. */
export const KUBELET_PATHS = {
  /** The kubeconfig with the token, at the path that kubeadm uses. */
  bootstrapKubeconfig: "/etc/kubernetes/bootstrap-kubelet.conf",
  kubeconfig: "/etc/kubernetes/kubelet.conf",
  certDir: "/var/lib/kubelet/pki",
} as const;

export const PACK_JOIN_FILE = "bootstrap-kubelet.conf";

/** The unit in a pack, which keeps the certificate of the machine fresh. */
export const PACK_UNIT = "tlsboot-bootstrap.service";
const UNIT_FOLDER = "/etc/systemd/system";
const SECRET_MODE = 0o600;
const PUBLIC_MODE = 0o644;
/** The name of the kubeconfig extension that identifies a machine. */
const EXTENSION = "tlsboot.join";
/** The names in the Kubernetes documentation of TLS bootstrapping. */
const USER_NAME = "kubelet-bootstrap";
const CLUSTER_NAME = "kubernetes";
const CONTEXT_NAME = "bootstrap";

/** Reads the target from `cluster-info`, as the joining machine does. */
export function parseJoinTarget(clusterInfo: ConfigMap): Result<JoinTarget, string> {
  const cluster = parseClusterInfo(clusterInfo.data?.[CLUSTER_INFO_KUBECONFIG_KEY] ?? "");
  if (!cluster.ok) return err(`${CLUSTER_INFO_NAME} cannot be used: ${cluster.error}`);
  const { server, caPem, authorities } = cluster.value;
  if (!isPlainWord(server)) {
    return err(`the server in ${CLUSTER_INFO_NAME} has characters that are not allowed in a command`);
  }
  return ok({ server, caPem, pins: authorities.map(publicKeyPin), isPublished: true });
}

/**
 * Formats the commands of tlsboot and kubeadm. They contain the token in plain text, and the name of the machine when the
 * token is for one node.
 */
export function formatJoinCommands(
  { server, pins, token, node }: Pick<JoinMaterial, "server" | "pins" | "token" | "node">,
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

/** The machine of a join file, and where its files belong. */
interface JoinedMachine {
  readonly node: NodeName;
  readonly kubeconfig: string;
  readonly certDir: string;
}

/** Encodes a kubeconfig that authenticates with a bootstrap token, as a stock kubelet reads it. */
export function encodeBootstrapKubeconfig(
  { server, caPem }: PublishedCluster,
  token: BootstrapToken,
  machine?: JoinedMachine,
): string {
  return encodeKubeconfig({
    clusters: [{ name: CLUSTER_NAME, cluster: { server, certificateAuthorityData: caPem } }],
    contexts: [{ name: CONTEXT_NAME, context: { cluster: CLUSTER_NAME, user: USER_NAME } }],
    users: [{ name: USER_NAME, user: { token: new Secret(formatBootstrapToken(token)) } }],
    currentContext: CONTEXT_NAME,
    ...(machine === undefined ? {} : { extensions: [{ name: EXTENSION, extension: machine }] }),
  });
}

/**
 * Formats a bootstrap kubeconfig that begins with the commands for the machine. For a single node it is a join file: it
 * also has the node and the paths of the machine, so `tlsboot bootstrap --join FILE` needs no other flag.
 */
export function formatBootstrapKubeconfig(material: JoinMaterial, fileName: string): string {
  const { node, server, pins, isPublished, token, expiration } = material;
  const { kubeconfig, certDir } = KUBELET_PATHS;
  const until = expiration === undefined ? "" : `, until ${formatTime(expiration)}`;
  const file = shellWord(fileName);
  const [machines, alone, flags] = node === undefined
    ? ["machines", "those machines", `--bootstrap-kubeconfig ${file} --kubeconfig ${kubeconfig} --cert-dir ${certDir}`]
    : [`the machine ${node}`, "the machine", `--join ${file}`];
  const head = [
    `This file lets ${machines} join ${server}${until}. It contains a token: copy it to ${alone} alone.`,
    `On the machine: tlsboot bootstrap ${flags}`,
    ...(isPublished ? [`Or with kubeadm: ${formatJoinCommands(material).kubeadm}`] : []),
    ...pins.map((pin) => `CA: ${pin}`),
  ];
  return head.map((line) => `# ${line}\n`).join("") +
    encodeBootstrapKubeconfig(material, token, node === undefined ? undefined : { certDir, kubeconfig, node });
}

/** Parses the machine of a join file. The error is a complete sentence with the path. */
export function parseJoinFile(text: string, path: string): Result<JoinedMachine, string> {
  const config = parseKubeconfig(text, path);
  if (!config.ok) return config;
  const found = config.value.extensions?.find(({ name }) => name === EXTENSION)?.extension;
  if (typeof found !== "object" || found === null) {
    return err(`cannot use "${path}" as a join file: it has no extension "${EXTENSION}"`);
  }
  const fields: Readonly<Record<string, unknown>> = { ...found };
  const { node: name, kubeconfig, certDir } = fields;
  const node = typeof name === "string" ? parseNodeName(name) : err("it has no node");
  if (!node.ok) return err(`cannot use "${path}" as a join file: ${node.error}`);
  if (typeof kubeconfig !== "string" || typeof certDir !== "string") {
    return err(`cannot use "${path}" as a join file: it has no path of a kubeconfig or no folder for certificates`);
  }
  return ok({ node: node.value, kubeconfig, certDir });
}

/** Creates the files of a pack for one node. Three of them contain the token. */
export function createPackFiles(
  material: JoinMaterial & { readonly node: NodeName },
  unit: string,
): readonly TextFile[] {
  const joinFile = formatBootstrapKubeconfig(material, PACK_JOIN_FILE);
  return [
    { path: "README", mode: PUBLIC_MODE, text: formatReadme(material) },
    { path: PACK_JOIN_FILE, mode: SECRET_MODE, text: joinFile },
    { path: "ca.crt", mode: PUBLIC_MODE, text: material.caPem },
    { path: PACK_UNIT, mode: PUBLIC_MODE, text: unit },
    { path: "cloud-init.yaml", mode: SECRET_MODE, text: formatCloudInit(joinFile, unit) },
    { path: "ignition.json", mode: SECRET_MODE, text: formatIgnition(joinFile, unit) },
  ];
}

function formatReadme({ node, pins }: Pick<JoinMaterial, "node" | "pins">): string {
  return `Join pack of the machine ${node}. It contains a token: copy it to the machine alone, and delete it here.

On the machine, with the pack as one file or as a folder:

  tlsboot bootstrap --join PACK

or by hand, for tlsboot or for a stock kubelet:

  ${PACK_JOIN_FILE}         to ${KUBELET_PATHS.bootstrapKubeconfig}
  ${PACK_UNIT}      to ${UNIT_FOLDER}, then systemctl enable --now ${PACK_UNIT},
                                which waits until the machine has its certificate

or at the first start of a new machine whose image has /usr/local/bin/tlsboot: cloud-init.yaml is user data for
cloud-init, ignition.json a configuration for Ignition.

${pins.map((pin) => `CA (ca.crt): ${pin}\n`).join("")}`;
}

/** Formats user data (https://cloudinit.readthedocs.io, modules write_files and runcmd). */
function formatCloudInit(joinFile: string, unit: string): string {
  return `#cloud-config\n${
    formatYaml({
      write_files: [
        { content: joinFile, owner: "root:root", path: KUBELET_PATHS.bootstrapKubeconfig, permissions: "0600" },
        { content: unit, owner: "root:root", path: `${UNIT_FOLDER}/${PACK_UNIT}`, permissions: "0644" },
      ],
      // Starting the unit would wait for the certificate, for which cloud-init must not wait.
      runcmd: [
        ["systemctl", "daemon-reload"],
        ["systemctl", "enable", PACK_UNIT],
        ["systemctl", "start", "--no-block", PACK_UNIT],
      ],
    })
  }`;
}

/** Formats a configuration of version 3.4.0 (https://coreos.github.io/ignition/configuration-v3_4/). */
function formatIgnition(joinFile: string, unit: string): string {
  const source = `data:;base64,${encodeBase64(joinFile)}`;
  const config = {
    ignition: { version: "3.4.0" },
    storage: { files: [{ path: KUBELET_PATHS.bootstrapKubeconfig, mode: SECRET_MODE, contents: { source } }] },
    systemd: { units: [{ name: PACK_UNIT, enabled: true, contents: unit }] },
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
