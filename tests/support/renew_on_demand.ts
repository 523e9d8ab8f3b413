/**
 * An instance that renews its own certificates on demand: `renew_on_demand.ts DATA_DIR`. It prints where it serves. At
 * each line on stdin it checks its certificates and prints `done` or `failed`; at the line `turn` its clock is set
 * before, most of a year forward or back again, so that they have to be made anew.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { SERVER_FLAGS } from "../../cli/flags/server.ts";
import { getDefaultSettings, startInstance } from "../../cli/instance/instance.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { createFilePort } from "../../client/files.ts";
import { isAppError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { createPlainKeys } from "./ca_keys.ts";
import { createMemoryLogger } from "./memory_logger.ts";

const TURN_MS = 300 * 86_400_000;

async function main(dataDir: string): Promise<void> {
  const system = createSystemClock();
  let isAhead = false;
  const clock: Clock = { ...system, now: () => new Date(system.now().getTime() + (isAhead ? TURN_MS : 0)) };
  await using instance = await startInstance(
    { ...getDefaultSettings(SERVER_FLAGS), dataDir, securePort: 0 },
    {
      files: createFilePort(),
      clock,
      random: createSystemRandom(),
      logger: createMemoryLogger(),
      cwd: "/",
      keys: createPlainKeys(),
      heap: undefined,
      stdout: { write: () => {} },
    },
    () => [],
  );
  process.stdout.write(`${instance.url}\n`);
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "turn") isAhead = !isAhead;
    try {
      await instance.renew();
      process.stdout.write("done\n");
    } catch (error) {
      process.stdout.write(`failed ${isAppError(error, "io") ? error.message : `badly ${error}`}\n`);
    }
  }
}

main(process.argv[2] ?? "");
