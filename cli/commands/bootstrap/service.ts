/** Installs the service that keeps the certificates of a machine fresh, and removes it. */
import { basename, join, resolve } from "node:path";
import { shellWord } from "../../../core/lib/shell_word.ts";
import type { TextFile } from "../../../core/lib/tar.ts";
import { PACK_UNIT } from "../../../core/token/join_material.ts";
import { SECRET_MODE } from "../../../instance/data_dir.ts";
import { findTpmGroup } from "../../attestation.ts";
import { type ExitCode, UsageError } from "../../exit_code.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Tools } from "../../io.ts";
import { installService, uninstallService, type UnitState } from "../../systemd/install.ts";
import { systemdUnit } from "./command_words.ts";
import { bootstrapCommand } from "./flags.ts";
import { chooseCredentials, type Machine } from "./machine.ts";
import { formatWords } from "../../framework/command.ts";

type BootstrapSettings = Settings<typeof bootstrapCommand.flags>;

/** The file for a token of the command line, because every user can read a unit. */
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
  // Incomplete credentials are refused here, and not by the service.
  await chooseCredentials(settings, machine, { ...tools, onProgress: () => {} });
  const given = settings.bootstrapKubeconfig ?? settings.tokenFile;
  const path = given === undefined ? undefined : resolve(tools.cwd, given);
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
  // The limit is for this command: the service starts again after its own, and continues.
  const kept = { ...settings, ...credentials, timeout: bootstrapCommand.flags.timeout.default };
  const unit = systemdUnit(kept, machine, tools, await findTpmGroup(tools.files));
  return await installService({ unit: PACK_UNIT, text: unit, files }, state, {
    ...settings,
    summary: `keeps the certificate of ${nodeName} in ${machine.certDir} fresh, with ${kubeconfigPath}`,
    next: () => `
  # check this machine
  ${formatWords(["sudo", "tlsboot", "doctor", kubeconfigPath])}

  # see what the service does
  systemctl status ${PACK_UNIT}

  # read what it has done
  journalctl --unit ${PACK_UNIT}
`,
    undo: "sudo tlsboot bootstrap --uninstall-service",
  }, tools);
}

export async function removeService(settings: BootstrapSettings, state: UnitState, tools: Tools): Promise<ExitCode> {
  const files = [{ path: TOKEN_FILE, text: "", mode: SECRET_MODE }];
  return await uninstallService({ unit: PACK_UNIT, files }, state, settings, tools);
}
