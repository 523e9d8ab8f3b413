/**
 * Formats the command line that repeats a run of `tlsboot bootstrap`, for suggested fixes and for the service that keeps
 * the certificates of a machine fresh. Installs and removes this service.
 */
import { basename, dirname, join, resolve } from "node:path";
import { shellWord } from "../../../core/lib/printable.ts";
import type { TextFile } from "../../../core/lib/tar.ts";
import { PACK_UNIT } from "../../../core/token/join_material.ts";
import { SECRET_MODE } from "../../../client/files.ts";
import { findTpmGroup, TPM_DEVICE } from "../../attestation.ts";
import { type ExitCode, UsageError } from "../../exit_code.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Io, Tools } from "../../io.ts";
import { formatServiceCommands, installService, uninstallService, type UnitState } from "../../systemd/install.ts";
import { bootstrapCommand } from "./flags.ts";
import { chooseCredentials, type Machine } from "./machine.ts";
import { formatCommand, formatCommandLine, formatWords } from "../../framework/command.ts";
import type { BootstrapCommands } from "../../../core/report/health/machine.ts";
import { NO_SERVICE } from "../../flags/common.ts";
import { formatSystemdUnit } from "../../systemd/unit.ts";

type BootstrapSettings = Settings<typeof bootstrapCommand.flags>;

/** Lists the words that repeat a run for this machine, without the flags with which a run only prints something. */
function listResumeWords(
  settings: BootstrapSettings,
  { kubeconfigPath, certDir, nodeName }: Machine,
  cwd: string,
): readonly string[] {
  const machine = { kubeconfig: kubeconfigPath, certDir, hostnameOverride: nodeName };
  const prints = { printPublicKey: false, printSystemdUnit: false, ...NO_SERVICE };
  const again = { ...settings, ...machine, ...prints };
  // Absolute paths, because the command is run from another folder later.
  return formatCommand(bootstrapCommand, { settings: again }, (path) => resolve(cwd, path));
}

export function formatResumeCommand(settings: BootstrapSettings, machine: Machine, cwd: string): string {
  return formatCommandLine(listResumeWords(settings, machine, cwd));
}

/**
 * Formats the unit that keeps the certificates of a machine fresh. Throws UsageError for a token on the command line, because
 * every user can read a unit, and as `formatSystemdUnit`.
 *
 * @param tpmGroup the group that may use the TPM, if there is one
 */
export function formatUnit(
  settings: BootstrapSettings,
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
    words: listResumeWords({ ...settings, rotateCertificates: true }, machine, io.cwd),
    folders: [machine.certDir, dirname(machine.kubeconfigPath)],
    device: path !== undefined && path.startsWith("/dev/") ? { path, group: tpmGroup } : undefined,
  }, io);
}

/** Creates the commands that fix a machine whose certificate exists. */
export function createBootstrapWords(
  settings: BootstrapSettings,
  machine: Machine,
  cwd: string,
): BootstrapCommands {
  const { bootstrapKubeconfig, server, token, offline } = settings;
  const hasCredentials = bootstrapKubeconfig !== undefined || server !== undefined || offline !== undefined;
  const withoutCredentials = {
    bootstrapKubeconfig: undefined,
    server: undefined,
    token: undefined,
    tokenFile: undefined,
    caCertHash: [],
    attest: undefined,
    proofFrom: undefined,
  };
  return {
    credentials: !hasCredentials ? undefined : token === undefined ? "files" : "stdin",
    line: (nodeName, purpose) =>
      formatResumeCommand(
        { ...settings, ...(purpose === undefined ? {} : withoutCredentials), serving: purpose === "serving" },
        { ...machine, nodeName },
        cwd,
      ),
  };
}

/** The file to which a given token is written, because every user can read a unit. */
const TOKEN_FILE = "/etc/tlsboot/bootstrap.token";

/** Installs the service, with the join file of a pack if there is one. `state` is that of `checkHost`. */
export async function addService(
  settings: BootstrapSettings,
  machine: Machine,
  joinFile: TextFile | undefined,
  state: UnitState,
  tools: Tools,
): Promise<ExitCode> {
  const { kubeconfigPath, nodeName } = machine;
  // Incomplete credentials are refused here, before the service refuses them.
  await chooseCredentials(settings, machine, { ...tools, onProgress: () => {} });
  const credentialFile = settings.bootstrapKubeconfig ?? settings.tokenFile;
  const path = credentialFile === undefined ? undefined : resolve(tools.cwd, credentialFile);
  if (path !== undefined && (await tools.files.stat(path))?.isOwnedByOther) {
    throw new UsageError(
      `the service cannot read "${path}": it belongs to another user, and the service may read files of root only`,
      `copy it: sudo install -D -m 600 ${shellWord(path)} ${shellWord(join("/etc/tlsboot", basename(path)))}`,
    );
  }
  const typed = settings.token?.reveal();
  const token = typed === "-" ? await tools.stdin.readAll(tools.signal) : typed;
  const files = [
    ...(joinFile === undefined ? [] : [joinFile]),
    ...(token === undefined ? [] : [{ path: TOKEN_FILE, text: `${token.trim()}\n`, mode: SECRET_MODE }]),
  ];
  const credentials = token === undefined ? {} : { token: undefined, tokenFile: TOKEN_FILE };
  // --timeout limits only this command: a service that times out is started again and continues.
  const kept = { ...settings, ...credentials, timeout: bootstrapCommand.flags.timeout.default };
  const unit = formatUnit(kept, machine, tools, await findTpmGroup(tools.files));
  return await installService({ unit: PACK_UNIT, text: unit, files }, state, {
    ...settings,
    summary: `keeps the certificate of ${nodeName} in ${machine.certDir} fresh, with ${kubeconfigPath}`,
    next: () => `
  # check this machine
  ${formatWords(["sudo", "tlsboot", "doctor", kubeconfigPath])}

${formatServiceCommands(PACK_UNIT)}`,
    undo: "sudo tlsboot bootstrap --uninstall-service",
  }, tools);
}

export async function removeService(settings: BootstrapSettings, state: UnitState, tools: Tools): Promise<ExitCode> {
  const files = [{ path: TOKEN_FILE, text: "", mode: SECRET_MODE }];
  return await uninstallService({ unit: PACK_UNIT, files }, state, settings, tools);
}
