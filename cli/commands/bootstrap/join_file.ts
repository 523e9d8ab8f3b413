/** `--join`: the settings of a machine from its join file, or from a pack, whose files are installed first. */
import { Buffer } from "node:buffer";
import { dirname, join, resolve } from "node:path";
import { KUBELET_PATHS, PACK_JOIN_FILE, parseJoinFile } from "../../../core/token/join_material.ts";
import { AppError } from "../../../core/errors.ts";
import { readTarFiles } from "../../../core/lib/tar.ts";
import { preferFile } from "../../cluster_credentials.ts";
import type { Settings } from "../../framework/flags.ts";
import type { Tools } from "../../io.ts";
import { FOLDER_MODE, SECRET_MODE } from "../../../instance/data_dir.ts";
import type { bootstrapCommand } from "./flags.ts";
import { listTypedFlags } from "../../framework/settings.ts";
import { UsageError } from "../../framework/usage_error.ts";

const MAKE_ONE = "make one with: tlsboot token create --node NODE -o pack --out FILE";

/** The name of the installed join file, kubeadm's. */
const INSTALLED_NAME = KUBELET_PATHS.bootstrapKubeconfig.slice(KUBELET_PATHS.bootstrapKubeconfig.lastIndexOf("/") + 1);

/**
 * Completes the settings from the join file. Flags win over it, except credentials. UsageError for credentials that were
 * typed as well, AppError `config_invalid` for a file that is no join file and no pack.
 */
export async function applyJoinFile(
  given: Settings<typeof bootstrapCommand.flags>,
  origins: Readonly<Record<string, string>>,
  { cwd, files }: Tools,
): Promise<Settings<typeof bootstrapCommand.flags>> {
  if (given.join === undefined) {
    if (given.bootstrapKubeconfig === undefined || given.offline !== undefined) return given;
    const typed = listTypedFlags(origins, ["server", "token", "tokenFile", "caCertHash"]);
    if (typed.length === 0) return preferFile(given);
    throw new UsageError(`--bootstrap-kubeconfig has the credentials: leave out ${typed.join(", ")}`);
  }
  const settings = preferFile(given);
  const named = resolve(cwd, given.join);
  const isFolder = (await files.stat(named))?.kind === "directory";
  const path = isFolder ? join(named, PACK_JOIN_FILE) : named;
  const content = await files.readText(path);
  if (content === undefined) {
    throw new AppError("not_found", `cannot read the join file "${path}": no such file`, { hint: MAKE_ONE });
  }
  const packed = isTar(content) ? readPack(content, path) : undefined;
  const machine = parseJoinFile(packed ?? content, path);
  if (!machine.ok) throw new AppError("config_invalid", machine.error, { hint: MAKE_ONE });
  const { node, kubeconfig, certDir } = machine.value;
  const completed = {
    ...settings,
    join: undefined,
    hostnameOverride: settings.hostnameOverride ?? node,
    kubeconfig: settings.kubeconfig ?? kubeconfig,
    certDir: settings.certDir ?? certDir,
  };
  if (packed === undefined) return { ...completed, bootstrapKubeconfig: path };
  const installed = join(dirname(resolve(cwd, completed.kubeconfig)), INSTALLED_NAME);
  // Those only print something, and change nothing.
  const isReading = settings.printSystemdUnit || settings.printPublicKey;
  if (!isReading && await files.readText(installed) !== packed) {
    await files.makeDirectory(dirname(installed), FOLDER_MODE);
    await files.writeAtomic(installed, packed, SECRET_MODE);
  }
  return { ...completed, bootstrapKubeconfig: installed };
}

/** A tar has this mark in its first header (POSIX.1-1988). */
function isTar(content: string): boolean {
  return content.slice(257, 262) === "ustar";
}

/** Every file of a pack is text, so a pack can be read as text. */
function readPack(content: string, path: string): string {
  const files = readTarFiles(Buffer.from(content));
  const found = files.ok ? files.value.get(PACK_JOIN_FILE) : undefined;
  if (found !== undefined) return Buffer.from(found).toString("utf8");
  const why = files.ok ? `it has no ${PACK_JOIN_FILE}` : files.error;
  throw new AppError("config_invalid", `cannot use the pack "${path}": ${why}`, { hint: MAKE_ONE });
}
