/**
 * An instance that renews its own certificates on demand: `renew_on_demand.ts DATA_DIR`. It prints its URL. For each
 * line on stdin it checks its certificates and CRLs and prints `done` or `failed`, followed by `, no CRL` if a CRL
 * could not be made. For the line `turn` it first sets its clock most of a year forward, or back again, so that
 * everything has to be renewed.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { startInstance } from "../../instance/instance.ts";
import { DEFAULT_SETTINGS } from "../../instance/settings.ts";
import { createSystemClock } from "../../cli/system.ts";
import { isAppError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { createInstanceDeps } from "./instance_deps.ts";
import { createMemoryLogger } from "./memory_logger.ts";

const TURN_MS = 300 * 86_400_000;
/** The sleep that is skipped: a check makes no CRL within a second of the last one, but checks come faster here. */
const SKIPPED_PAUSE_MS = 1_000;

async function main(dataDir: string): Promise<void> {
  const system = createSystemClock();
  let isAhead = false;
  const logger = createMemoryLogger();
  const clock: Clock = {
    ...system,
    now: () => new Date(system.now().getTime() + (isAhead ? TURN_MS : 0)),
    // Not 0, because the listener sleeps for a second too, and would spin.
    sleep: (ms, signal) => system.sleep(ms === SKIPPED_PAUSE_MS ? 1 : ms, signal),
  };
  await using instance = await startInstance(
    { ...DEFAULT_SETTINGS, dataDir, securePort: 0 },
    createInstanceDeps("/", { clock, logger }),
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
