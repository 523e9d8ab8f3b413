/** `bootstrap`: the first certificate of a machine, with the defaults of `tlsboot bootstrap`. */
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseNodeName } from "../../core/machine/node_name.ts";
import { AppError } from "../../core/errors.ts";
import { bootstrap, type BootstrapOutcome, type BootstrapProgress, createKubeconfigFinder } from "../../client/mod.ts";
import { createClientPorts, type SystemPorts } from "./defaults.ts";

/** The files and the name of a machine. */
export interface MachineSettings extends Partial<SystemPorts> {
  /** A kubeconfig with a bootstrap token, as a path or as text, as for `connectToCluster`. */
  readonly bootstrapKubeconfig: string;
  /** The path of the kubeconfig to write. When it is valid already, there is nothing to do. */
  readonly kubeconfig: string;
  /** The folder for the key and the certificate; by default `pki` next to the kubeconfig. */
  readonly certDir?: string;
  /** The name of the node; by default the name of this host. */
  readonly nodeName?: string;
  /** How long to wait for the certificate, in seconds; an hour by default, as kubelet. */
  readonly waitSeconds?: number;
  /** The requested lifetime; by default the signer chooses. */
  readonly expirationSeconds?: number;
  readonly onProgress?: (event: BootstrapProgress) => void;
  readonly signal?: AbortSignal;
}

/**
 * Obtains the certificate of a machine as a kubelet does, and writes a kubeconfig that uses it. Run again after an
 * interruption, it continues its own request.
 *
 * AppError with a code and a hint, for example `unreachable`, `unauthorized`, `csr_denied` or `timeout`.
 */
export async function bootstrapMachine(settings: MachineSettings): Promise<BootstrapOutcome> {
  const { nodeName: name = hostname(), signal = new AbortController().signal } = settings;
  const { onProgress, waitSeconds, expirationSeconds } = settings;
  const nodeName = parseNodeName(name);
  if (!nodeName.ok) throw new AppError("invalid", nodeName.error);
  const ports = createClientPorts(settings);
  const kubeconfigPath = resolve(settings.kubeconfig);
  return await bootstrap({
    ...ports,
    findCluster: createKubeconfigFinder(settings.bootstrapKubeconfig, ports.files),
    kubeconfigPath,
    certDir: resolve(settings.certDir ?? join(dirname(kubeconfigPath), "pki")),
    nodeName: nodeName.value,
    ...{ onProgress, waitSeconds, expirationSeconds },
  }, signal);
}
