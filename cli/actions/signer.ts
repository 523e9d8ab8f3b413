/** Runs the signing controller against a distant API. */
import { createFilePort } from "../../client/files.ts";
import type { SignerFlags } from "../commands/signer.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import type { Io } from "../io.ts";
import { createLogger } from "../logging.ts";
import { csrStoreOver, runSigner } from "../site/controllers.ts";
import { runDistant } from "../site/distant.ts";
import { openSigningCas, signingCaFlagsOf, signingDurationSeconds } from "../site/signing_cas.ts";

/** The action of `tlsboot signer`. */
export async function run(input: Input<SignerFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const { settings } = input;
  const logger = createLogger({ stderr: io.stderr, clock: io.clock, level: input.isDebug ? "debug" : "info" });
  const deps = { files: createFilePort(), clock: io.clock, logger, cwd: io.cwd };
  const cas = await openSigningCas(signingCaFlagsOf(settings), deps);
  const signing = { ...cas, signingDurationSeconds: signingDurationSeconds(settings) };
  await runDistant("signer", settings, io, logger, async (transport, deps, leading) => {
    await runSigner(csrStoreOver(transport, deps), signing, deps, leading);
  }, signal);
  return EXIT.done;
}
