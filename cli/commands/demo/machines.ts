/** The machines of the demo. Each runs what `tlsboot bootstrap` runs, with a kubeconfig and an empty folder. */
import { join } from "node:path";
import {
  bootstrap,
  type BootstrapOutcome,
  type BootstrapProgress,
  createKubeconfigFinder,
} from "../../../client/bootstrap.ts";
import type { FilePort } from "../../../client/files.ts";
import { parseCredentialPair } from "../../../core/machine/credential_pair.ts";
import { parseNodeName } from "../../../core/machine/node_name.ts";
import { AppError } from "../../../core/errors.ts";
import type { Authority } from "../../../core/pki/authority/authority.ts";
import { verifyChain } from "../../../core/pki/x509/chain.ts";
import type { Logger } from "../../../core/ports.ts";
import type { DataDir } from "../../../instance/data_dir.ts";
import type { ApprovedBy, Audience } from "../../../ui/story/chapters.ts";
import type { Tools } from "../../io.ts";

export interface DemoMachine {
  readonly name: string;
  readonly folder: string;
  readonly kubeconfigPath: string;
  readonly certDir: string;
  readonly certificatePath: string;
}

/** A machine while it bootstraps. */
export interface Bootstrapping {
  readonly machine: DemoMachine;
  /** Resolves with the name of the request when it is submitted. */
  readonly submitted: Promise<string>;
  /** Resolves when the machine has its certificate; rejects when it gets none. */
  readonly outcome: Promise<BootstrapOutcome>;
}

interface MachineDeps extends Pick<Tools, "files" | "clock" | "random" | "connect"> {
  readonly logger: Logger;
}

export function planMachine(dir: DataDir, name: string): DemoMachine {
  const folder = join(dir.nodes, name);
  const certDir = join(folder, "pki");
  return {
    name,
    folder,
    kubeconfigPath: join(folder, "kubeconfig"),
    certDir,
    certificatePath: join(certDir, "kubelet-client-current.pem"),
  };
}

/** The credentials of a machine, how long it waits, and the receiver of its events. */
export interface JoiningOptions {
  readonly bootstrapKubeconfigPath: string;
  readonly waitSeconds: number;
  readonly approvedBy: ApprovedBy;
  readonly onEvent: Audience;
}

export function startMachine(
  machine: DemoMachine,
  { bootstrapKubeconfigPath, waitSeconds, approvedBy, onEvent }: JoiningOptions,
  deps: MachineDeps,
  signal: AbortSignal,
): Bootstrapping {
  const nodeName = parseNodeName(machine.name);
  if (!nodeName.ok) throw new AppError("internal", nodeName.error);
  const submitted = Promise.withResolvers<string>();
  const report = createReporter(machine.name, approvedBy, onEvent);
  const outcome = bootstrap({
    ...deps,
    nodeName: nodeName.value,
    findCluster: createKubeconfigFinder(bootstrapKubeconfigPath, deps.files),
    kubeconfigPath: machine.kubeconfigPath,
    certDir: machine.certDir,
    waitSeconds,
    onProgress: (event) => {
      if (event.kind === "submitted") submitted.resolve(event.name);
      report(event);
    },
  }, signal);
  outcome.catch((error: unknown) => submitted.reject(error));
  // A failure is reported by `outcome`; this handler only prevents an unhandled rejection.
  submitted.promise.catch(() => {});
  return { machine, submitted: submitted.promise, outcome };
}

/**
 * Creates a function that reports the steps of a machine's request. A machine may see the approval only together with the
 * certificate, so `by` says who approves the request.
 */
export function createReporter(
  machine: string,
  by: ApprovedBy,
  onEvent: Audience,
): (event: BootstrapProgress) => void {
  let isApproved = false;
  const approve = (): void => {
    if (!isApproved) onEvent({ kind: "approved", machine, by });
    isApproved = true;
  };
  return (event) => {
    if (event.kind === "submitted") onEvent({ kind: "requested", machine });
    else if (event.kind === "approved") approve();
    else if (event.kind === "issued") {
      approve();
      onEvent({ kind: "issued", machine, notAfter: event.notAfter });
    }
  };
}

/** Verifies a machine's certificate and key on disk against the CA, and returns notAfter. Throws AppError `pki_invalid`. */
export async function verifyMachine(
  machine: DemoMachine,
  authority: Authority,
  files: FilePort,
  now: Date,
): Promise<Date> {
  const text = await files.readText(machine.certificatePath);
  if (text === undefined) throw new AppError("pki_invalid", `${machine.name} has no certificate`);
  const pair = parseCredentialPair(text, text);
  if (!pair.ok) throw new AppError("pki_invalid", `cannot use the certificate of ${machine.name}: ${pair.error}`);
  const { leaf } = pair.value;
  const chain = verifyChain(leaf, [], [authority.certificate], { at: now, usage: "client" });
  if (!chain.ok) throw new AppError("pki_invalid", `cannot verify the certificate of ${machine.name}: ${chain.error}`);
  const { commonName, organizations } = leaf.subject;
  if (commonName !== `system:node:${machine.name}` || organizations.join() !== "system:nodes") {
    throw new AppError("pki_invalid", `the certificate of ${machine.name} is for ${commonName}`);
  }
  return leaf.notAfter;
}
