/** The command line that repeats a run of `tlsboot bootstrap`, and what its user may do next in words. */
import { resolve } from "node:path";
import type { NextCommand } from "../../../core/doctor/machine.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import type { BootstrapFlags } from "./flags.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Io } from "../../io.ts";
import { pathWord } from "../../output/display_path.ts";
import type { Machine } from "./machine.ts";

/**
 * Lists the words after the program name. All paths are absolute, so the command works from any folder. A token from
 * the command line is replaced by `-` for stdin, because it is a secret and the command is printed and stored.
 */
export function commandWords(
  settings: Settings<BootstrapFlags>,
  machine: Machine,
  cwd: string,
): readonly string[] {
  const path = (flag: string, value: string | undefined): readonly string[] =>
    value === undefined ? [] : [flag, resolve(cwd, value)];
  const each = (flag: string, values: readonly string[]): readonly string[] => values.flatMap((value) => [flag, value]);
  return [
    "bootstrap",
    ...path("--bootstrap-kubeconfig", settings.bootstrapKubeconfig),
    ...(settings.server === undefined ? [] : ["--server", settings.server]),
    ...(settings.token === undefined ? [] : ["--token", "-"]),
    ...path("--token-file", settings.tokenFile),
    ...each("--ca-cert-hash", settings.caCertHash),
    ...path("--offline", settings.offline),
    ...["--kubeconfig", machine.kubeconfigPath, "--cert-dir", machine.certDir],
    ...["--hostname-override", machine.nodeName],
    ...(settings.serving ? ["--serving"] : []),
    ...each("--serving-dns", settings.servingDns),
    ...each("--serving-ip", settings.servingIp),
    ...(settings.duration === undefined ? [] : ["--duration", `${settings.duration / 1000}s`]),
    ...(settings.renewBefore === undefined ? [] : ["--renew-before", `${settings.renewBefore / 1000}s`]),
    ...(settings.keyAlgorithm === undefined ? [] : ["--key-algorithm", settings.keyAlgorithm]),
    ...each("--feature-gates", settings.featureGates.map(({ name, isOn }) => `${name}=${isOn}`)),
    ...(settings.exec === undefined ? [] : ["--exec", settings.exec]),
    ...each("--signal", settings.signal.map(({ signal, pidFile }) => `${signal}:${resolve(cwd, pidFile)}`)),
    ...(settings.rotateCertificates ? ["--rotate-certificates"] : []),
  ];
}

const FLAG = /^--[a-z-]+$/;

/** Formats the command as a line for a shell. */
export function commandLine(settings: Settings<BootstrapFlags>, machine: Machine, cwd: string): string {
  const words = commandWords(settings, machine, cwd).map((word) => FLAG.test(word) ? word : shellWord(word));
  return ["tlsboot", ...words].join(" ");
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
  return "make a token with: tlsboot token create -o command, and run the command it prints with " +
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
