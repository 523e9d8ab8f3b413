/**
 * Resolves the settings of a machine: its name, its files, the names of its serving certificate, and the credentials of
 * its requests.
 */
import { resolve } from "node:path";
import { createServingTemplate, decideServingNames, type NodeName } from "../../../core/machine/node_name.ts";
import type { KeyAlgorithm } from "../../../core/pki/keys/key_names.ts";
import type { bootstrapCommand } from "./flags.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Io, Tools } from "../../io.ts";
import { resolveNodeName } from "../../flags/request.ts";
import type { FilePort } from "../../../client/files.ts";
import { readHostFacts } from "../../../client/host_facts.ts";
import type { ServingNames } from "../../../core/pki/authority/serving_certificate.ts";
import { AppError } from "../../../core/errors.ts";
import type { CertificateTemplate } from "../../../core/machine/renewal_schedule.ts";
import {
  type BootstrapOptions,
  type BootstrapProgress,
  createMissingCredentialsFinder,
} from "../../../client/bootstrap.ts";
import { type AttestProgress, createIdentityProof } from "../../../client/attestation/attest.ts";
import type { DiscoveryProgress } from "../../../client/discover_cluster.ts";
import type { ServingProgress } from "../../../client/serving.ts";
import { openProver } from "../../attestation.ts";
import { createClusterFinder, DISCOVERY_SECONDS } from "../../cluster_credentials.ts";
import { UsageError } from "../../exit_code.ts";

/** The progress of a machine until its files are stored. */
export type MachineProgress = BootstrapProgress | DiscoveryProgress | ServingProgress | AttestProgress;

/** The node name and the absolute paths of a machine. */
export interface Machine {
  readonly nodeName: NodeName;
  readonly kubeconfigPath: string;
  readonly certDir: string;
  /** The algorithm of new keys; kubelet's when it is absent. */
  readonly keyAlgorithm?: KeyAlgorithm | undefined;
}

/** Resolves the name and the paths. Throws UsageError for an invalid node name. */
export function resolveMachine(settings: Settings<typeof bootstrapCommand.flags>, io: Pick<Io, "cwd">): Machine {
  return {
    nodeName: resolveNodeName(settings.hostnameOverride),
    kubeconfigPath: resolve(io.cwd, settings.kubeconfig ?? ""),
    certDir: resolve(io.cwd, settings.certDir ?? ""),
    keyAlgorithm: settings.keyAlgorithm,
  };
}

/** Reads this machine's names and addresses, unless the settings give others. */
export async function readServingNames(
  settings: Settings<typeof bootstrapCommand.flags>,
  machine: Machine,
  files: FilePort,
): Promise<ServingNames> {
  const given = { dnsNames: settings.servingDns, ipAddresses: settings.servingIp };
  return decideServingNames(given, await readHostFacts(machine.nodeName, files));
}

/** Returns the template of the serving certificate. Throws AppError `not_found` on a machine without an address. */
export async function getServingTemplate(
  settings: Settings<typeof bootstrapCommand.flags>,
  machine: Machine,
  files: FilePort,
): Promise<CertificateTemplate> {
  const template = createServingTemplate(machine.nodeName, await readServingNames(settings, machine, files));
  if (template !== undefined) return template;
  throw new AppError(
    "not_found",
    "cannot request a serving certificate: this machine has no address that kubelet would use",
    { hint: "give one with --serving-ip, or check the machine's network" },
  );
}

/** Chooses the source of the credentials. Throws UsageError for incomplete settings. */
export async function chooseCredentials(
  settings: Settings<typeof bootstrapCommand.flags>,
  machine: Machine,
  tools: Tools & { readonly onProgress: (event: MachineProgress) => void },
): Promise<Pick<BootstrapOptions, "findCluster" | "prove">> {
  const findMissing = createMissingCredentialsFinder(machine.kubeconfigPath, machine.nodeName);
  const { attest, server, caCertHash: pins, proofFrom } = settings;
  if (attest === undefined) {
    return { findCluster: createClusterFinder(settings, { path: settings.bootstrapKubeconfig }, findMissing, tools) };
  }
  if (server === undefined || pins.length === 0) {
    throw new UsageError(
      "--attest needs --server and --ca-cert-hash, the address of the server and the hash of its CA",
      "tlsboot ca show prints the hash at the CA",
    );
  }
  const prover = await openProver({ kind: attest, from: proofFrom }, tools);
  const waitSeconds = Math.min(settings.timeout / 1_000, DISCOVERY_SECONDS);
  return {
    findCluster: findMissing,
    prove: createIdentityProof({ ...tools, ...machine, server, pins, prover, waitSeconds }),
  };
}
