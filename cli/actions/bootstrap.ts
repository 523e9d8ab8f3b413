/** Runs the bootstrap client once, or keeps the certificate fresh. */
import { hostname } from "node:os";
import { resolve } from "node:path";
import {
  bootstrap,
  type BootstrapOutcome,
  type BootstrapProgress,
  CLIENT_STORE_PREFIX,
} from "../../client/bootstrap.ts";
import { runCertificateManager } from "../../client/certificate_manager.ts";
import { createCertificateRequester } from "../../client/certificate_requester.ts";
import { type Connect, createConnector, readCluster } from "../../client/connect.ts";
import { openCredentialStore } from "../../client/credential_store.ts";
import { createFilePort, type FilePort } from "../../client/files.ts";
import { type NodeName, nodeSubject, parseNodeName } from "../../core/bootstrap/node_name.ts";
import type { Logger } from "../../core/ports.ts";
import type { BootstrapFlags } from "../commands/bootstrap.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import { UsageError } from "../framework/usage_error.ts";
import type { Io } from "../io.ts";
import { createLogger } from "../logging.ts";
import { displayPath } from "../output/display_path.ts";
import { createSteps } from "../output/steps.ts";
import { USER_AGENT } from "../user_agent.ts";

/** Paths and names of one machine. */
interface Machine {
  readonly nodeName: NodeName;
  readonly bootstrapKubeconfigPath: string;
  readonly kubeconfigPath: string;
  readonly certDir: string;
}

/** The action of `tlsboot bootstrap`. */
export async function run(input: Input<BootstrapFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings } = input;
  const logger = createLogger({ stderr: io.stderr, clock: io.clock, level: input.isDebug ? "debug" : "warn" });
  const files = createFilePort();
  const machine = machineOf(settings, io);
  const connect = createConnector({ files, clock: io.clock, userAgent: USER_AGENT });
  const outcome = await watchedBootstrap(machine, settings.wait / 1000, { io, files, connect, logger }, signal);
  io.stdout.write(describeOutcome(outcome, machine, io.cwd));
  if (!settings.rotateCertificates) return EXIT.done;
  await keepRotating(machine, { io, files, connect, logger }, signal);
  return EXIT.done;
}

interface Tools {
  readonly io: Io;
  readonly files: FilePort;
  readonly connect: Connect;
  readonly logger: Logger;
}

async function watchedBootstrap(
  machine: Machine,
  waitSeconds: number,
  { io, files, connect, logger }: Tools,
  signal: AbortSignal,
): Promise<BootstrapOutcome> {
  using steps = createSteps(io);
  return await bootstrap({
    ...machine,
    files,
    connect,
    logger,
    clock: io.clock,
    random: io.random,
    waitSeconds,
    onProgress: (event) => {
      const text = describeProgress(event, io.cwd);
      if (text !== undefined) steps.step(text);
    },
  }, signal);
}

async function keepRotating(machine: Machine, tools: Tools, signal: AbortSignal): Promise<void> {
  const { io, files, connect, logger } = tools;
  const store = await openCredentialStore({
    files,
    clock: io.clock,
    certDir: machine.certDir,
    prefix: CLIENT_STORE_PREFIX,
  });
  const template = { ...nodeSubject(machine.nodeName), dnsNames: [], ipAddresses: [] };
  const requestCertificate = createCertificateRequester({
    template,
    clock: io.clock,
    random: io.random,
    logger,
    connect: async (credentials) =>
      connect(
        await readCluster(credentials === "current" ? machine.kubeconfigPath : machine.bootstrapKubeconfigPath, files),
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

function machineOf(settings: Input<BootstrapFlags>["settings"], io: Io): Machine {
  const name = parseNodeName(settings.hostnameOverride ?? hostname());
  if (!name.ok) throw new UsageError(name.error, "give the node's name with --hostname-override");
  return {
    nodeName: name.value,
    bootstrapKubeconfigPath: resolve(io.cwd, settings.bootstrapKubeconfig ?? ""),
    kubeconfigPath: resolve(io.cwd, settings.kubeconfig ?? ""),
    certDir: resolve(io.cwd, settings.certDir ?? ""),
  };
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

/** What a person who waits is told; undefined for what they need not know. */
function describeProgress(event: BootstrapProgress, cwd: string): string | undefined {
  switch (event.kind) {
    case "kubeconfigInvalid":
      return `the kubeconfig cannot be used: ${event.reason}`;
    case "keyKept":
      return event.reused
        ? `using the key in ${displayPath(event.path, cwd)}`
        : `key made: ${displayPath(event.path, cwd)}`;
    case "waitingForServer":
      return `waiting for ${event.server}`;
    case "clockSkew":
      return `this machine's clock differs: the server says ${event.skew.serverTime.toISOString()}`;
    case "submitted":
      return event.adopted
        ? `request ${event.name} taken up again; waiting for approval: tlsboot approve ${event.name}`
        : `request ${event.name} made; waiting for approval: tlsboot approve ${event.name}`;
    case "approved":
      return `approved (${event.reason}); waiting for the certificate`;
    case "issued":
      return `issued, valid until ${event.notAfter.toISOString()}`;
    case "stored":
    case "kubeconfigWritten":
      return undefined;
  }
}
