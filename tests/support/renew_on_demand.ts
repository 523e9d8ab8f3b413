/**
 * An instance that renews its own certificates on demand: `renew_on_demand.ts DATA_DIR`. It prints where it serves. At
 * each line on stdin it checks its certificates and CRLs and prints `done` or `failed`, and `, no CRL` after it if a CRL
 * could not be made; at the line `turn` its clock is set before, most of a year forward or back again, so that all have
 * to be made anew.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { startInstance } from "../../instance/instance.ts";
import { DEFAULT_SETTINGS } from "../../instance/settings.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { createFilePort } from "../../client/files.ts";
import { isAppError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { createPlainKeys } from "./instance_deps.ts";
import { createMemoryLogger } from "./memory_logger.ts";

const TURN_MS = 300 * 86_400_000;
/** The pause that is skipped: a CRL is followed by a second in which a check makes none, and checks here come sooner. */
const SKIPPED_PAUSE_MS = 1_000;

async function main(dataDir: string): Promise<void> {
  const system = createSystemClock();
  let isAhead = false;
  const logger = createMemoryLogger();
  const clock: Clock = {
    ...system,
    now: () => new Date(system.now().getTime() + (isAhead ? TURN_MS : 0)),
    // Not zero: the listener pauses for a second too, and must not use up the processor.
    sleep: (ms, signal) => system.sleep(ms === SKIPPED_PAUSE_MS ? 1 : ms, signal),
  };
  await using instance = await startInstance(
    { ...DEFAULT_SETTINGS, dataDir, securePort: 0 },
    {
      files: createFilePort(),
      clock,
      random: createSystemRandom(),
      logger,
      cwd: "/",
      keys: createPlainKeys(),
      heap: undefined,
      stdout: { write: () => {} },
    },
    () => [],
  );
  const countMissing = (): number => logger.messages("error").filter((one) => /^cannot make a CRL/.test(one)).length;
  process.stdout.write(`${instance.url}\n`);
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "turn") isAhead = !isAhead;
    const before = countMissing();
    const outcome = await instance.renew().then(
      () => "done",
      (error: unknown) => `failed ${isAppError(error, "io") ? error.message : `badly ${error}`}`,
    );
    process.stdout.write(`${outcome}${countMissing() > before ? ", no CRL" : ""}\n`);
  }
}

main(process.argv[2] ?? "");
