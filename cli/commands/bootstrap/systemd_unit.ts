/** The systemd unit that keeps the certificates of a machine fresh. */
import { dirname, resolve } from "node:path";
import type { Settings } from "../../framework/flags.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { formatSystemdUnit } from "../../output/systemd_unit.ts";
import { commandWords } from "./command_words.ts";
import type { BootstrapFlags } from "./flags.ts";
import type { Machine } from "./machine.ts";

/**
 * Formats the unit of a machine. UsageError for a token on the command line, because units must not contain secrets, and
 * for a program that the sandbox hides or a restart of the machine removes.
 */
export function systemdUnit(
  settings: Settings<BootstrapFlags>,
  machine: Machine,
  io: Pick<Io, "cwd" | "execPath">,
): string {
  if (settings.token !== undefined) {
    throw new UsageError("every user can read a unit: give the token with --token-file, not --token");
  }
  return formatSystemdUnit({
    writtenBy: "tlsboot bootstrap --print-systemd-unit",
    description: `Certificates of Kubernetes node ${machine.nodeName}`,
    words: [
      ...commandWords({ ...settings, rotateCertificates: true }, machine, io.cwd),
      ...["--wait", `${settings.wait / 1000}s`],
    ],
    folders: [machine.certDir, dirname(machine.kubeconfigPath)],
    readPaths: readPaths(settings, io.cwd),
    hasCommand: settings.exec !== undefined,
    sendsSignals: settings.signal.length > 0,
  }, io);
}

function readPaths(
  { bootstrapKubeconfig, tokenFile, signal }: Settings<BootstrapFlags>,
  cwd: string,
): readonly string[] {
  return [bootstrapKubeconfig, tokenFile, ...signal.map(({ pidFile }) => pidFile)]
    .flatMap((path) => path === undefined ? [] : [resolve(cwd, path)]);
}
