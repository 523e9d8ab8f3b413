/** The machine to bootstrap: its name, its files, and the names of its serving certificate. */
import { resolve } from "node:path";
import { createServingTemplate, decideServingNames, type NodeName } from "../../../core/machine/node_name.ts";
import type { KeyAlgorithm } from "../../../core/pki/keys/key_algorithm.ts";
import type { bootstrapCommand } from "./flags.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Io } from "../../io.ts";
import { resolveNodeName } from "../../flags/request.ts";
import type { FilePort } from "../../../client/files.ts";
import { readHostFacts } from "../../../client/host_facts.ts";
import type { ServingNames } from "../../../core/pki/authority/serving_certificate.ts";
import { AppError } from "../../../core/errors.ts";
import type { CertificateTemplate } from "../../../core/machine/renewal_schedule.ts";

/** The node name and the absolute paths of a machine. */
export interface Machine {
  readonly nodeName: NodeName;
  readonly kubeconfigPath: string;
  readonly certDir: string;
  /** The algorithm of new keys; kubelet's when it is absent. */
  readonly keyAlgorithm?: KeyAlgorithm | undefined;
}

/** Resolves the name and the paths. UsageError for an invalid node name. */
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

/** Returns the template of the serving certificate. AppError `not_found` on a machine without an address. */
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
    {
      hint: "give one with --serving-ip, or check the machine's network",
    },
  );
}
