/** The machines of the demo: each is the bootstrap command's own function, with a kubeconfig and an empty folder. */
import { join } from "node:path";
import { bootstrap, type BootstrapOutcome } from "../../client/bootstrap.ts";
import { bootstrapKubeconfig } from "../../client/bootstrap_credentials.ts";
import type { Connect } from "../../client/connect.ts";
import type { FilePort } from "../../client/files.ts";
import { parseNodeName } from "../../core/bootstrap/node_name.ts";
import { AppError } from "../../core/errors.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import type { DataDir } from "../instance/data_dir.ts";

/** One machine and its paths. */
export interface DemoMachine {
  readonly name: string;
  readonly folder: string;
  readonly kubeconfigPath: string;
  readonly certDir: string;
  readonly certificatePath: string;
}

/** A machine that is bootstrapping. */
export interface Bootstrapping {
  readonly machine: DemoMachine;
  /** Resolves with the name of its request once it is made. */
  readonly submitted: Promise<string>;
  /** Rejects when it gets no certificate. */
  readonly outcome: Promise<BootstrapOutcome>;
}

/** What the machines use. */
export interface MachineDeps {
  readonly files: FilePort;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly connect: Connect;
}

/** `node-1` to `node-N`. */
export function planMachines(dir: DataDir, count: number): readonly DemoMachine[] {
  return Array.from({ length: count }, (_, index) => {
    const name = `node-${index + 1}`;
    const folder = join(dir.nodes, name);
    const certDir = join(folder, "pki");
    return {
      name,
      folder,
      kubeconfigPath: join(folder, "kubeconfig"),
      certDir,
      certificatePath: join(certDir, "kubelet-client-current.pem"),
    };
  });
}

/** Starts one machine. */
export function startMachine(
  machine: DemoMachine,
  bootstrapKubeconfigPath: string,
  waitSeconds: number,
  deps: MachineDeps,
  signal: AbortSignal,
): Bootstrapping {
  const nodeName = parseNodeName(machine.name);
  if (!nodeName.ok) throw new AppError("internal", nodeName.error);
  const submitted = Promise.withResolvers<string>();
  const outcome = bootstrap({
    ...deps,
    nodeName: nodeName.value,
    findCluster: bootstrapKubeconfig(bootstrapKubeconfigPath, deps.files),
    kubeconfigPath: machine.kubeconfigPath,
    certDir: machine.certDir,
    waitSeconds,
    onProgress: (event) => {
      if (event.kind === "submitted") submitted.resolve(event.name);
    },
  }, signal);
  outcome.catch((error: unknown) => submitted.reject(error));
  // Whoever awaits the outcome hears of a failure; this one only keeps it from being called unhandled before.
  submitted.promise.catch(() => {});
  return { machine, submitted: submitted.promise, outcome };
}
