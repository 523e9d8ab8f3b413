/** Examines a machine: the folder of its certificates, its kubeconfig, and the answer of its server. */
import { readdir } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { askServer, type Examined, type ExamineDeps } from "../../../client/health/examine.ts";
import { type FoundFile, readFound, readKubeconfigParts } from "../../../client/health/files.ts";
import { examineMachine, readMachine } from "../../../client/health/machine.ts";
import { readCluster } from "../../../client/transport/connect.ts";
import { parseNodeName } from "../../../core/machine/node_name.ts";
import { type Fault, reportOn } from "../../../core/report/health/finding.ts";
import type { BootstrapCommands } from "../../../core/report/health/machine.ts";
import { AppError } from "../../../core/errors.ts";
import { joinPath } from "../../../core/kube/kubeconfig/kubeconfig.ts";
import { shellWord } from "../../../core/lib/printable.ts";
import { publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { KUBELET_PATHS } from "../../../core/token/join_material.ts";
import { parseBootstrapToken } from "../../../core/token/token_secret.ts";
import { formatCommandLine } from "../../framework/command.ts";

/** The names that kubeadm, kubelet and our guides use for the kubeconfig of the first request. */
const BOOTSTRAP_NAMES = ["bootstrap.kubeconfig", "bootstrap-kubelet.conf", "bootstrap-kubeconfig"];

/** The files of a machine, with absolute paths. */
export interface MachinePaths {
  readonly kubeconfigPath: string;
  readonly certDir: string;
}

/**
 * Finds the kubeconfig for a folder of certificates: the one that refers to a certificate in the folder, or else
 * kubelet's or the one next to the folder. The last two may not exist.
 */
export async function findMachineKubeconfig(certDir: string, deps: ExamineDeps): Promise<string> {
  for (const folder of [dirname(certDir), certDir, dirname(KUBELET_PATHS.kubeconfig)]) {
    for (const name of (await readdir(folder).catch(() => [])).sort()) {
      if (BOOTSTRAP_NAMES.includes(name) || !/^kubeconfig$|\.(?:conf|kubeconfig|yaml)$/.test(name)) continue;
      const file = await readFound(join(folder, name), deps);
      if (file !== undefined && findNamedFolder(file) === certDir) return file.path;
    }
  }
  return certDir === KUBELET_PATHS.certDir ? KUBELET_PATHS.kubeconfig : join(dirname(certDir), "kubeconfig");
}

/** Returns the folder of the client certificate in a kubeconfig if it is that of a kubelet; undefined for any other. */
export function findNamedFolder({ path, kubeconfig }: FoundFile): string | undefined {
  for (const { user: { clientCertificate } } of kubeconfig?.users ?? []) {
    if (clientCertificate === undefined) continue;
    const named = resolve(joinPath(dirname(path), clientCertificate));
    if (/^kubelet-client-.*\.pem$/.test(basename(named))) return dirname(named);
  }
  return undefined;
}

/** Examines a machine. Fixes use the given bootstrap kubeconfig, or the one next to the machine's kubeconfig. */
export async function examineMachineAt(
  { kubeconfigPath, certDir }: MachinePaths,
  given: string | undefined,
  deps: ExamineDeps,
  signal: AbortSignal,
): Promise<Examined> {
  const host = parseNodeName(hostname());
  if (!host.ok) throw new AppError("invalid", host.error, { hint: "give this computer a name that a node may have" });
  const machine = { kubeconfigPath, certDir, nodeName: host.value, isNameGiven: false };
  const reading = await readMachine(machine, deps, signal);
  const kubeconfigs = await findBootstrapKubeconfigs(kubeconfigPath, deps);
  const bootstrapKubeconfig = given === undefined ? kubeconfigs[0] : resolve(deps.cwd, given);
  const credentials = bootstrapKubeconfig !== undefined
    ? ["--bootstrap-kubeconfig", bootstrapKubeconfig]
    // The pins would be those of a CA that the server no longer has.
    : reading.server.kind === "untrusted"
    ? []
    : await listServerFlags(kubeconfigPath, deps);
  const commands: BootstrapCommands = {
    credentials: bootstrapKubeconfig !== undefined ? "files" : credentials.length > 0 ? "stdin" : undefined,
    line: (nodeName, purpose) =>
      formatCommandLine([
        ...["bootstrap", ...(purpose === undefined ? credentials : [])],
        ...["--kubeconfig", kubeconfigPath, "--cert-dir", certDir],
        ...["--hostname-override", nodeName, ...(purpose === "serving" ? ["--serving"] : [])],
      ]),
  };
  const examined = await examineMachine(reading, commands, deps, signal);
  const tokens = reading.server.kind === "accepted" ? await findWorkingTokens(kubeconfigs, deps, signal) : [];
  const found = reportOn(deps.show(certDir)).check("bootstrap-token", tokens);
  return { ...examined, findings: [...examined.findings, ...found] };
}

/**
 * Lists the flags of a first request with a token from stdin: the server of the kubeconfig, and the pins of its CAs. Empty
 * when the kubeconfig does not have both.
 */
async function listServerFlags(path: string, deps: ExamineDeps): Promise<readonly string[]> {
  const file = await readFound(path, deps);
  const server = file?.kubeconfig?.clusters[0]?.cluster.server;
  if (file === undefined || server === undefined) return [];
  const { trusted } = await readKubeconfigParts(file, deps);
  const pins = trusted.flatMap(({ chain }) => chain).map(publicKeyPin);
  if (pins.length === 0) return [];
  return ["--server", server, "--token", "-", ...pins.flatMap((pin) => ["--ca-cert-hash", pin])];
}

async function findBootstrapKubeconfigs(kubeconfigPath: string, { files }: ExamineDeps): Promise<readonly string[]> {
  const paths = BOOTSTRAP_NAMES.map((name) => join(dirname(kubeconfigPath), name));
  const found = await Promise.all(paths.map(async (path) => await files.stat(path) === undefined ? [] : [path]));
  return found.flat();
}

/** Finds the bootstrap tokens in kubeconfigs that the server still accepts. */
async function findWorkingTokens(
  paths: readonly string[],
  { clock, files, connect, show }: ExamineDeps,
  signal: AbortSignal,
): Promise<readonly Fault[]> {
  const faults: Fault[] = [];
  for (const path of paths) {
    const cluster = await readCluster(path, files).catch(() => undefined);
    const token = cluster?.token === undefined ? undefined : parseBootstrapToken(cluster.token.reveal());
    if (cluster === undefined || token?.ok !== true) continue;
    const answer = await askServer(() => connect(cluster), clock, signal);
    if (answer.kind !== "accepted") continue;
    const shown = show(path);
    faults.push({
      severity: "warning",
      message: `the bootstrap token ${token.value.id} in "${shown}" still works, although this machine has its ` +
        `certificate; where the server runs, delete it with: tlsboot token delete ${token.value.id}`,
      fix: `rm ${shellWord(shown)}`,
    });
  }
  return faults;
}
