/** Runs the API server until it is stopped. */
import { createFilePort } from "../../client/files.ts";
import { createCaKeys } from "../authority/keys.ts";
import type { ServerFlags } from "../commands/server_flags.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import type { Io } from "../io.ts";
import { createRoleLogger } from "../logging.ts";
import { keepFresh } from "../site/renewal.ts";
import { startSite } from "../site/site.ts";
import { pathWord } from "../output/display_path.ts";

/** The action of `tlsboot serve`. */
export async function run(input: Input<ServerFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const logger = createRoleLogger(input, io);
  const files = createFilePort();
  const keys = createCaKeys(input.settings, io, files, signal);
  const { clock, random, heap, cwd, stdout } = io;
  const deps = { files, clock, random, heap, logger, cwd, stdout, keys };
  await using site = await startSite(input.settings, deps, () => []);
  keys.passphrases.stopAsking();
  io.stdout.write(
    `tlsboot serves ${site.url}\n\n  kubectl --kubeconfig ${pathWord(site.dir.adminKubeconfig, io.cwd)} get csr\n`,
  );
  await keepFresh(() => site.renew(), deps, AbortSignal.any([signal, site.lost]));
  site.lost.throwIfAborted();
  return EXIT.done;
}
