/** Examines a machine: the folder of a kubelet's certificates, its kubeconfig, and what its server answers. */
import { readdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { askServer } from "../../../client/machine_evidence.ts";
import { readCluster } from "../../../client/transport/connect.ts";
import { parseBootstrapToken } from "../../../core/bootstrap/token.ts";
import { Secret } from "../../../core/lib/brand.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import { AppError } from "../../../core/errors.ts";
import { joinPath } from "../../../core/kube/file_path.ts";
import { type Fault, reportCheck } from "../../../core/doctor/finding.ts";
import { publicKeyPin } from "../../../core/pki/public_key_pin.ts";
import type { Settings } from "../../framework/flags.ts";
import { BOOTSTRAP_FLAGS, type BootstrapFlags } from "../bootstrap/flags.ts";
import { resolveMachine } from "../bootstrap/machine.ts";
import { examineMachine } from "../bootstrap/status.ts";
import { type Examined, type ExamineDeps, joinExamined, showPath } from "./examine.ts";
import { type FoundFile, readFound, readKubeconfigParts } from "./files.ts";

/** Names under which kubeadm, kubelet and our guides keep the credentials for the first request. */
const BOOTSTRAP_NAMES = ["bootstrap.kubeconfig", "bootstrap-kubelet.conf", "bootstrap-kubeconfig"];
/** The folder of kubelet's kubeconfig on a machine of kubeadm. */
const KUBERNETES = "/etc/kubernetes";

/** The files of a machine, with absolute paths. */
export interface MachinePaths {
  readonly kubeconfigPath: string;
  readonly certDir: string;
}

/**
 * Finds the kubeconfig of a folder of certificates: the one that names a certificate in the folder, else kubelet's.
 * Throws AppError `not_found`.
 */
export async function findMachineKubeconfig(certDir: string, deps: ExamineDeps): Promise<string> {
  for (const folder of [dirname(certDir), certDir, KUBERNETES]) {
    for (const name of (await readdir(folder).catch(() => [])).sort()) {
      if (BOOTSTRAP_NAMES.includes(name) || !/^kubeconfig$|\.(?:conf|kubeconfig|yaml)$/.test(name)) continue;
      const file = await readFound(join(folder, name), deps);
      if (file !== undefined && findNamedFolder(file) === certDir) return file.path;
    }
  }
  const fallback = join(KUBERNETES, "kubelet.conf");
  if (certDir === "/var/lib/kubelet/pki" && await deps.files.stat(fallback) !== undefined) return fallback;
  throw new AppError("not_found", `cannot find the kubeconfig that names a certificate in "${certDir}"`, {
    hint: "name it with --kubeconfig",
  });
}

/** Finds the folder of kubelet's link that a kubeconfig names as its client certificate; undefined for any other. */
export function findNamedFolder({ path, kubeconfig }: FoundFile): string | undefined {
  for (const { user: { clientCertificate } } of kubeconfig?.users ?? []) {
    if (clientCertificate === undefined) continue;
    const named = resolve(joinPath(dirname(path), clientCertificate));
    if (/^kubelet-client-.*\.pem$/.test(basename(named))) return dirname(named);
  }
  return undefined;
}

/** Examines a machine. The fixes use the bootstrap kubeconfig that is given or found beside the machine's files. */
export async function examineMachineAt(
  { kubeconfigPath, certDir }: MachinePaths,
  given: string | undefined,
  deps: ExamineDeps,
  signal: AbortSignal,
): Promise<Examined> {
  const beside = await findBootstrapKubeconfigs(kubeconfigPath, deps);
  const bootstrapKubeconfig = given ?? beside[0];
  const settings = { ...getDefaults(), kubeconfig: kubeconfigPath, certDir };
  const machine = resolveMachine(settings, deps.io);
  const examineWith = (credentials: Partial<Settings<BootstrapFlags>>) =>
    examineMachine({ ...settings, ...credentials }, machine, deps, signal);
  let examined = await examineWith(
    bootstrapKubeconfig === undefined ? await readServerSettings(kubeconfigPath, deps) : { bootstrapKubeconfig },
  );
  // The pins of a CA that the server no longer has would not help.
  const hasWrongCa = examined.report.server.state === "untrusted";
  if (hasWrongCa && bootstrapKubeconfig === undefined) examined = await examineWith({});
  const target = showPath(certDir, deps);
  const isIn = examined.report.server.state === "accepted";
  const tokens = isIn ? await findLivingTokens(beside, deps, signal) : [];
  return joinExamined([examined, {
    findings: reportCheck({ check: "bootstrap-token", target }, tokens, "no bootstrap token is left on the machine"),
    certificates: [],
    unreadable: [],
  }]);
}

/** The settings of `bootstrap` without any flag. */
function getDefaults(): Settings<BootstrapFlags> {
  const entries = Object.entries(BOOTSTRAP_FLAGS).map(([name, flag]) => [name, flag.default]);
  return Object.fromEntries(entries);
}

/**
 * Returns the settings for a first request with a token from stdin: the server that the kubeconfig names, and the pins of
 * the CAs that it trusts. Nothing when the kubeconfig does not name both.
 */
async function readServerSettings(path: string, deps: ExamineDeps): Promise<Partial<Settings<BootstrapFlags>>> {
  const file = await readFound(path, deps);
  const server = file?.kubeconfig?.clusters[0]?.cluster.server;
  if (file === undefined || server === undefined) return {};
  const { trusted } = await readKubeconfigParts(file, deps);
  const caCertHash = trusted.flatMap(({ chain }) => chain).map(publicKeyPin);
  return caCertHash.length === 0 ? {} : { server, token: new Secret(""), caCertHash };
}

async function findBootstrapKubeconfigs(kubeconfigPath: string, { files }: ExamineDeps): Promise<readonly string[]> {
  const paths = BOOTSTRAP_NAMES.map((name) => join(dirname(kubeconfigPath), name));
  const found = await Promise.all(paths.map(async (path) => await files.stat(path) === undefined ? [] : [path]));
  return found.flat();
}

/** Finds bootstrap tokens beside the kubeconfig that the server still accepts. */
async function findLivingTokens(
  paths: readonly string[],
  { io, files, connect }: ExamineDeps,
  signal: AbortSignal,
): Promise<readonly Fault[]> {
  const faults: Fault[] = [];
  for (const path of paths) {
    const cluster = await readCluster(path, files).catch(() => undefined);
    const token = cluster?.token === undefined ? undefined : parseBootstrapToken(cluster.token.reveal());
    if (cluster === undefined || token?.ok !== true) continue;
    const answer = await askServer(() => connect(cluster), io.clock, signal);
    if (answer.kind !== "accepted") continue;
    const shown = showPath(path, { io });
    faults.push({
      severity: "warning",
      message: `the bootstrap token ${token.value.id} in "${shown}" still works, although this machine has its ` +
        `certificate; where the server runs, delete it with: tlsboot token delete ${token.value.id}`,
      fix: `rm ${shellWord(shown)}`,
    });
  }
  return faults;
}
