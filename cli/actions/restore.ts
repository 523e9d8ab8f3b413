/** Makes a data directory of a backup. */
import { createReadStream } from "node:fs";
import { lstat } from "node:fs/promises";
import { resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import { decrypt } from "../backup/encryption.ts";
import { openerOf } from "../backup/keys.ts";
import { restoreBackup } from "../backup/restore.ts";
import type { RestoreFlags } from "../commands/restore.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import type { Io } from "../io.ts";
import { displayPath } from "../output/display_path.ts";

/** The action of `tlsboot restore`. */
export async function run(input: Input<RestoreFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings, args: [name = ""] } = input;
  const path = resolve(io.cwd, name);
  if (await lstat(path).catch(() => undefined) === undefined) {
    throw new AppError("not_found", `cannot read backup "${name}": no such file`, { hint: "check the path" });
  }
  const opener = await openerOf(settings, name, io, signal);
  const root = resolve(io.cwd, settings.dataDir);
  const archive = await decrypt(createReadStream(path), opener);
  const { manifest, revision, replaced } = await restoreBackup(archive, root, {
    clock: io.clock,
    force: settings.force,
  });
  const show = (at: string) => displayPath(at, io.cwd);
  io.stdout.write(
    `${
      show(root)
    }: ${manifest.objects} objects as of ${manifest.createdAt}; resource versions go on from ${revision}\n` +
      (replaced === undefined ? "" : `what was there before is in ${show(replaced)}\n`),
  );
  return EXIT.done;
}
