/** The command line that repeats a run of `tlsboot bootstrap`, and what its user may do next in words. */
import { dirname, resolve } from "node:path";
import type { NextCommand } from "../../../core/doctor/machine.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import { bootstrapCommand, type BootstrapFlags } from "./flags.ts";
import { formatCommand, formatCommandLine } from "../../framework/command_line.ts";
import type { Settings } from "../../framework/flags.ts";
import { UsageError } from "../../framework/usage_error.ts";
import type { Io } from "../../io.ts";
import { pathWord } from "../../output/display_path.ts";
import { formatSystemdUnit } from "../../systemd/unit.ts";
import type { Machine } from "./machine.ts";

/** Lists the words that repeat a run for this machine; those that only print something are repeated without that flag. */
export function commandWords(
  settings: Settings<BootstrapFlags>,
  { kubeconfigPath, certDir, nodeName }: Machine,
  cwd: string,
): readonly string[] {
  const machine = { kubeconfig: kubeconfigPath, certDir, hostnameOverride: nodeName };
  const prints = { status: false, output: undefined, printPublicKey: false, printSystemdUnit: false };
  const again = { ...settings, ...machine, ...prints };
  // Absolute paths, because the command is run from another folder later.
  return formatCommand(bootstrapCommand, { settings: again }, (path) => resolve(cwd, path));
}

/** Formats the command as a line for a shell. */
export function commandLine(settings: Settings<BootstrapFlags>, machine: Machine, cwd: string): string {
  return formatCommandLine(commandWords(settings, machine, cwd));
}

/**
 * Formats the unit that keeps the certificates of a machine fresh. UsageError for a token on the command line, because
 * units must not contain secrets, and those of `formatSystemdUnit`.
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
    words: commandWords({ ...settings, rotateCertificates: true }, machine, io.cwd),
    folders: [machine.certDir, dirname(machine.kubeconfigPath)],
  }, io);
}

/** Describes how to get a certificate: with the given credentials, or first how to get a token. */
export function describeNextRequest(
  settings: Settings<BootstrapFlags>,
  machine: Machine,
  io: Io,
  isServing = false,
): string {
  // A serving certificate is requested with the client certificate of the node.
  if (isServing || namesCredentials(settings)) return `run: ${commandLine(settings, machine, io.cwd)}`;
  return "make a token with: tlsboot token create --print-join-command, and run the command it prints with " +
    `--kubeconfig ${pathWord(machine.kubeconfigPath, io.cwd)} --cert-dir ${pathWord(machine.certDir, io.cwd)} ` +
    `--hostname-override ${machine.nodeName}`;
}

/** Describes how to replace credentials. Their key must be removed too, because the old request belongs to it. */
export function describeRemoval(
  settings: Settings<BootstrapFlags>,
  machine: Machine,
  currentPath: string,
  io: Io,
): NextCommand {
  const removal = `rm -f ${pathWord(machine.kubeconfigPath, io.cwd)} ${pathWord(currentPath, io.cwd)}`;
  return namesCredentials(settings)
    ? toNextCommand(settings, machine, `${removal} && ${commandLine(settings, machine, io.cwd)}`)
    : { advice: `${removal}, and then ${describeNextRequest(settings, machine, io)}` };
}

/**
 * Describes how to get new credentials without losing the present ones. `tlsboot bootstrap` does nothing when it finds a valid
 * kubeconfig, and the old request belongs to the key of the pair, so these files are moved aside, and back when the run
 * fails.
 *
 * @param inUse the absolute paths of the files to move; none when the kubeconfig cannot be used anyway.
 */
export function describeKeeping(
  settings: Settings<BootstrapFlags>,
  machine: Machine,
  inUse: readonly string[],
  io: Io,
): NextCommand {
  const words = inUse.map((path) => [pathWord(path, io.cwd), pathWord(`${path}.old`, io.cwd)] as const);
  const aside = words.map(([path, old]) => `mv ${path} ${old}`).join(" && ");
  if (!namesCredentials(settings)) {
    return { advice: (aside === "" ? "" : `${aside}, and then `) + describeNextRequest(settings, machine, io) };
  }
  const command = commandLine(settings, machine, io.cwd);
  const back = words.map(([path, old]) => `mv ${old} ${path};`).join(" ");
  return toNextCommand(settings, machine, aside === "" ? command : `${aside} && ${command} || ! { ${back} }`);
}

/** A command that reads a token from stdin cannot be run unchanged. */
function toNextCommand(
  { token }: Settings<BootstrapFlags>,
  { nodeName }: Machine,
  command: string,
): NextCommand {
  if (token === undefined) return { fix: command };
  return {
    advice: `make a token with: tlsboot token create --node ${
      shellWord(nodeName)
    }, and give it on stdin to: ${command}`,
  };
}

/** Describes how to continue a request: by the present command, or by the one that was stored with its key. */
export function describeContinuation(
  kept: string | undefined,
  settings: Settings<BootstrapFlags>,
  machine: Machine,
  io: Io,
  isServing: boolean,
): string {
  if (namesCredentials(settings)) return `continue with: ${commandLine(settings, machine, io.cwd)}`;
  if (kept !== undefined) return `continue with: ${kept}`;
  if (isServing) return `continue with: ${commandLine(settings, machine, io.cwd)}`;
  return "run the command that made it again";
}

/** Reports whether the settings say where the credentials for a first request come from. */
export function namesCredentials({ bootstrapKubeconfig, server, offline }: Settings<BootstrapFlags>): boolean {
  return bootstrapKubeconfig !== undefined || server !== undefined || offline !== undefined;
}
