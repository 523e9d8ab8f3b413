/** Runs the approving controller against a distant API. */
import type { ApproverFlags } from "../commands/approver.ts";
import { EXIT, type ExitCode } from "../exit_code.ts";
import type { Input } from "../framework/command.ts";
import type { Io } from "../io.ts";
import { createLogger } from "../logging.ts";
import { csrStoreOver, runApprover } from "../site/controllers.ts";
import { runDistant } from "../site/distant.ts";

/** The action of `tlsboot approver`. */
export async function run(input: Input<ApproverFlags>, io: Io, signal: AbortSignal): Promise<ExitCode> {
  const logger = createLogger({ stderr: io.stderr, clock: io.clock, level: input.isDebug ? "debug" : "info" });
  await runDistant("approver", input.settings, io, logger, async (transport, deps, leading) => {
    await runApprover(csrStoreOver(transport, deps), transport, deps, leading);
  }, signal);
  return EXIT.done;
}
