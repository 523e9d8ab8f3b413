/** One server on its own database, killed as often as it can start. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { findServerPort } from "../support/temp.ts";
import { createTorturedServer, findDatabaseFault, type TorturedServer } from "./server.ts";
import type { TorturedInstance, TorturedInstanceOptions } from "./instance.ts";

/** The number of kills for each folder whose creation is interrupted. */
const KILLS_PER_BIRTH = 25;
/** How long the server runs at most before the next kill. */
const LONGEST_RUN_MS = 800;
/** One in this many kills happens while it starts. */
const STARTING_KILLS = 5;

/** Creates an instance; `kills` is the wanted number of kills. */
export async function createLoneInstance(options: TorturedInstanceOptions, kills: number): Promise<TorturedInstance> {
  const { folder, clock, random, pause, hasTime, newestShown, onFault } = options;
  const port = await findServerPort();
  const server = createTorturedServer(join(folder, "data"), port);
  const counts = { kills: 0, killedStarting: 0, checks: 0 };
  /** The duration of the last starts, for kills in the middle of one. */
  let startMs = 1_000;

  async function bear(born: TorturedServer): Promise<void> {
    const startedMs = clock.elapsedMs();
    born.start();
    await born.up();
    startMs = clock.elapsedMs() - startedMs;
  }

  async function kill(victim: TorturedServer, isStarting: boolean): Promise<void> {
    await victim.kill();
    counts.kills++;
    if (isStarting) counts.killedStarting++;
    await check(victim);
  }

  /**
   * Checks the database before a server opens it again. One that was just being created has not been seen by any
   * client.
   */
  async function check({ dataDir }: TorturedServer): Promise<void> {
    counts.checks++;
    const shown = dataDir === server.dataDir ? newestShown() : 0;
    const fault = await findDatabaseFault(dataDir, join(folder, "copy"), shown);
    if (fault !== undefined) onFault(fault);
  }

  /** Kills in the middle of the first start, each in an empty folder, which the next start must take over. */
  async function killBirths(): Promise<void> {
    const births = Math.max(1, Math.floor(kills / KILLS_PER_BIRTH));
    for (let birth = 0; birth < births && hasTime(); birth++) {
      await using born = createTorturedServer(join(folder, `birth-${birth}`), await findServerPort());
      born.start();
      await pause(random.float() * startMs);
      await kill(born, true);
      await bear(born);
      await born.kill();
      await rm(born.dataDir, { recursive: true, force: true });
    }
  }

  return {
    caPath: join(server.dataDir, "pki", "ca.crt"),
    adminKubeconfig: join(server.dataDir, "admin.kubeconfig"),
    bootstrapKubeconfig: join(server.dataDir, "bootstrap.kubeconfig"),
    async begin() {
      await killBirths();
      await bear(server);
    },
    async killOnce() {
      await pause(random.float() * LONGEST_RUN_MS);
      await kill(server, false);
      while (random.float() * STARTING_KILLS < 1 && hasTime()) {
        server.start();
        await pause(random.float() * startMs);
        await kill(server, true);
      }
      await bear(server);
    },
    async end() {
      await server.kill();
      await check(server);
    },
    counts: () => counts,
    shares: () => Promise.resolve([]),
    stderr: () => server.stderr(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
