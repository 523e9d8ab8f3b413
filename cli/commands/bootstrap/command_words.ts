/** The command line that repeats a run of `tlsboot bootstrap`, and the words of the fixes for a machine. */
import { dirname, resolve } from "node:path";
import type { BootstrapWords } from "../../../core/report/health/machine.ts";
import { bootstrapCommand } from "./flags.ts";
import { TPM_DEVICE } from "../../attestation.ts";
import { NO_SERVICE } from "../../flags/common.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Io } from "../../io.ts";
import { formatSystemdUnit } from "../../systemd/unit.ts";
import type { Machine } from "./machine.ts";
import { UsageError } from "../../exit_code.ts";
import { formatCommand, formatCommandLine } from "../../framework/command.ts";

/** Lists the words that repeat a run for this machine; those that only print something are repeated without that flag. */
function commandWords(
  settings: Settings<typeof bootstrapCommand.flags>,
  { kubeconfigPath, certDir, nodeName }: Machine,
  cwd: string,
): readonly string[] {
  const machine = { kubeconfig: kubeconfigPath, certDir, hostnameOverride: nodeName };
  const prints = { printPublicKey: false, printSystemdUnit: false, ...NO_SERVICE };
  const again = { ...settings, ...machine, ...prints };
  // Absolute paths, because the command is run from another folder later.
  return formatCommand(bootstrapCommand, { settings: again }, (path) => resolve(cwd, path));
}

export function commandLine(settings: Settings<typeof bootstrapCommand.flags>, machine: Machine, cwd: string): string {
  return formatCommandLine(commandWords(settings, machine, cwd));
}

/**
 * Formats the unit that keeps the certificates of a machine fresh. UsageError for a token on the command line, because
 * units must not contain secrets, and those of `formatSystemdUnit`.
 *
 * @param tpmGroup the group that may use the TPM, if there is one
 */
export function systemdUnit(
  settings: Settings<typeof bootstrapCommand.flags>,
  machine: Machine,
  io: Pick<Io, "cwd" | "execPath">,
  tpmGroup?: string,
): string {
  if (settings.token !== undefined) {
    throw new UsageError("every user can read a unit: give the token with --token-file, not --token");
  }
  const path = settings.attest === "tpm" ? resolve(io.cwd, settings.proofFrom ?? TPM_DEVICE) : undefined;
  return formatSystemdUnit({
    writtenBy: `tlsboot bootstrap ${settings.installService ? "--install-service" : "--print-systemd-unit"}`,
    description: `Certificates of Kubernetes node ${machine.nodeName}`,
    words: commandWords({ ...settings, rotateCertificates: true }, machine, io.cwd),
    folders: [machine.certDir, dirname(machine.kubeconfigPath)],
    device: path !== undefined && path.startsWith("/dev/") ? { path, group: tpmGroup } : undefined,
  }, io);
}

/** Returns the words of the fixes for a machine whose certificate exists. */
export function createBootstrapWords(
  settings: Settings<typeof bootstrapCommand.flags>,
  machine: Machine,
  cwd: string,
): BootstrapWords {
  const { bootstrapKubeconfig, server, token, offline } = settings;
  const isKnown = bootstrapKubeconfig !== undefined || server !== undefined || offline !== undefined;
  const none = {
    bootstrapKubeconfig: undefined,
    server: undefined,
    token: undefined,
    tokenFile: undefined,
    caCertHash: [],
    attest: undefined,
    proofFrom: undefined,
  };
  return {
    credentials: !isKnown ? undefined : token === undefined ? "files" : "stdin",
    line: (nodeName, purpose) =>
      commandLine(
        { ...settings, ...(purpose === undefined ? {} : none), serving: purpose === "serving" },
        { ...machine, nodeName },
        cwd,
      ),
  };
}
