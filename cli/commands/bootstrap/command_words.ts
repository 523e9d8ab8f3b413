/** The command line that repeats a run of `tlsboot bootstrap`, and the words of the fixes for a machine. */
import { resolve } from "node:path";
import type { BootstrapWords } from "../../../core/doctor/machine.ts";
import { shellWord } from "../../../core/lib/shell_word.ts";
import type { BootstrapFlags } from "./flags.ts";
import type { Settings } from "../../framework/flags.ts";
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

/** Returns the words of the fixes for a machine whose certificate exists. */
export function createBootstrapWords(
  settings: Settings<BootstrapFlags>,
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
