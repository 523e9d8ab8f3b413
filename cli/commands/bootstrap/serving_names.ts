/** The names of the serving certificate, from the settings and this machine. */
import type { FilePort } from "../../../client/files.ts";
import { readHostFacts } from "../../../client/host_facts.ts";
import { decideServingNames, type ServingNames } from "../../../core/machine/node_addresses.ts";
import { createServingTemplate } from "../../../core/machine/node_name.ts";
import type { CertificateTemplate } from "../../../core/machine/renewal_schedule.ts";
import { AppError } from "../../../core/errors.ts";
import type { BootstrapFlags } from "./flags.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Machine } from "./machine.ts";

/** Reads this machine's names and addresses, unless the settings give others. */
export async function readServingNames(
  settings: Settings<BootstrapFlags>,
  machine: Machine,
  files: FilePort,
): Promise<ServingNames> {
  const given = { dnsNames: settings.servingDns, ipAddresses: settings.servingIp };
  return decideServingNames(given, await readHostFacts(machine.nodeName, files));
}

/** Returns the template of the serving certificate. AppError `not_found` on a machine without an address. */
export async function getServingTemplate(
  settings: Settings<BootstrapFlags>,
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
