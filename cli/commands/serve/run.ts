/** Runs the API server until it is stopped. */
import type { serveCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { createRoleLogger } from "../../logging.ts";
import { renewEachMinute } from "../../../instance/parts/parts.ts";
import { startInstance } from "../../../instance/instance.ts";
import { pathWord } from "../../output/files.ts";
import { connectService, findPassedSocket } from "../../systemd/service.ts";
import { createCaKeys } from "../../passphrases/passphrase.ts";

export async function run(input: Input<typeof serveCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  const logger = createRoleLogger(input.settings, tools);
  const keys = createCaKeys(input.settings, tools);
  using service = connectService(tools, { logger, signal });
  const deps = { ...tools, heap: tools.heap, logger, keys, passedSocket: findPassedSocket(tools) };
  await using instance = await startInstance(input.settings, deps, () => []);
  keys.passphrases.stopPrompting();
  tools.stdout.write(
    `tlsboot serves ${instance.url}\n\n  kubectl --kubeconfig ${
      pathWord(instance.dir.adminKubeconfig, tools.cwd)
    } get csr\n`,
  );
  service.ready(`serving ${instance.url}`);
  await renewEachMinute(() => instance.renew(), deps, AbortSignal.any([signal, instance.lost]));
  instance.lost.throwIfAborted();
  logger.info("stopping after the requests in progress");
  return EXIT.done;
}
