/** Runs the bootstrap client once, or keeps the certificate fresh. */
import { bootstrap, type BootstrapOutcome, CLIENT_STORE_PREFIX } from "../../client/bootstrap.ts";
import type { FindBootstrapCluster } from "../../client/bootstrap_credentials.ts";
import { runCertificateManager } from "../../client/certificate_manager.ts";
import { createCertificateRequester } from "../../client/certificate_requester.ts";
import { type Connect, createConnector, readCluster } from "../../client/connect.ts";
import { openCredentialStore } from "../../client/credential_store.ts";
import { createFilePort, type FilePort } from "../../client/files.ts";
import { rotationUsages } from "../../core/bootstrap/client_usages.ts";
import { nodeSubject } from "../../core/bootstrap/node_name.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../core/kube/certificates_v1.ts";
import type { Logger } from "../../core/ports.ts";
import { findClusterOf } from "../bootstrap/credentials.ts";
import { type Machine, machineOf } from "../bootstrap/machine.ts";
import { describeProgress } from "../bootstrap/progress_text.ts";
import type { BootstrapFlags } from "../commands/bootstrap.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import type { Io } from "../io.ts";
import { createLogger } from "../logging.ts";
import { displayPath } from "../output/display_path.ts";
import { createSteps } from "../output/steps.ts";
import { USER_AGENT } from "../user_agent.ts";

/** The action of `tlsboot bootstrap`. */
export async function run(
  { settings, isDebug }: Input<BootstrapFlags>,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  const logger = createLogger({ stderr: io.stderr, clock: io.clock, level: isDebug ? "debug" : "warn" });
  const files = createFilePort();
  const machine = machineOf(settings, io);
  const connect = createConnector({ files, clock: io.clock, userAgent: USER_AGENT });
  const steps = createSteps(io);
  const onProgress = (event: Parameters<typeof describeProgress>[0]): void => {
    const text = describeProgress(event, io.cwd);
    if (text !== undefined) steps.step(text);
  };
  const findCluster = findClusterOf(settings, { io, files, connect, onProgress });
  const tools = { io, files, connect, logger, findCluster };
  using _ = steps;
  const { clock, random } = io;
  const options = { ...machine, ...tools, clock, random, waitSeconds: settings.wait / 1000, onProgress };
  const outcome = await bootstrap(options, signal);
  io.stdout.write(describeOutcome(outcome, machine, io.cwd));
  if (!settings.rotateCertificates) return EXIT.done;
  await keepRotating(machine, tools, signal);
  return EXIT.done;
}

interface Tools {
  readonly io: Io;
  readonly files: FilePort;
  readonly connect: Connect;
  readonly logger: Logger;
  readonly findCluster: FindBootstrapCluster;
}

async function keepRotating(machine: Machine, tools: Tools, signal: AbortSignal): Promise<void> {
  const { io, files, connect, logger, findCluster } = tools;
  const store = await openCredentialStore({
    files,
    clock: io.clock,
    certDir: machine.certDir,
    prefix: CLIENT_STORE_PREFIX,
  });
  const template = { ...nodeSubject(machine.nodeName), dnsNames: [], ipAddresses: [] };
  const requestCertificate = createCertificateRequester({
    signerName: KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
    usages: rotationUsages,
    clock: io.clock,
    random: io.random,
    logger,
    connect: async (credentials, signal) =>
      connect(
        credentials === "current" ? await readCluster(machine.kubeconfigPath, files) : await findCluster(signal),
      ),
  });
  await runCertificateManager({
    store,
    template,
    requestCertificate,
    clock: io.clock,
    random: io.random,
    logger,
    onRotated: (pair) => io.stdout.write(`certificate renewed, valid until ${pair.leaf.notAfter.toISOString()}\n`),
  }, signal);
}

function describeOutcome(outcome: BootstrapOutcome, machine: Machine, cwd: string): string {
  const kubeconfig = displayPath(machine.kubeconfigPath, cwd);
  if (outcome.kind === "alreadyValid") {
    const { subject, notAfter } = outcome.pair.leaf;
    return `nothing to do: ${kubeconfig} of ${subject.commonName} is valid until ${notAfter.toISOString()}\n`;
  }
  return `certificate of ${machine.nodeName} issued, valid until ${outcome.pair.leaf.notAfter.toISOString()}
certificate and key: ${displayPath(outcome.certificatePath, cwd)}
kubeconfig: ${kubeconfig}
`;
}
