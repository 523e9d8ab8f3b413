/** One server with its own database. A fault follows as soon as the server has started again. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createNetwork } from "../support/interop/network_namespace.ts";
import { findServerPort } from "../support/temp.ts";
import { createClocks } from "./clock_steps.ts";
import { createTorturedServer, findDatabaseFault, type TorturedServer } from "./server.ts";
import { STARTING_KILLS, type TorturedInstance, type TorturedInstanceOptions } from "./instance.ts";

/** A first start is interrupted once for this many kills. */
const KILLS_PER_FIRST_START = 25;
/** The longest time that the server runs before the next fault. */
const LONGEST_RUN_MS = 800;

/** Creates an instance; `kills` is the requested number of kills. */
export async function createLoneInstance(options: TorturedInstanceOptions, kills: number): Promise<TorturedInstance> {
  const { folder, clock, random, pause, hasTime, newestShown, onFault, faults, earlierBuild } = options;
  const clocks = faults.has("clock") ? await createClocks(folder, 1, clock) : undefined;
  const network = faults.has("partition") ? await createNetwork(1) : undefined;
  const place = network?.places[0];
  const createServer = async (name: string): Promise<TorturedServer> =>
    createTorturedServer({
      dataDir: join(folder, name),
      port: await findServerPort(),
      ...(place === undefined ? {} : { place }),
      ...(clocks === undefined ? {} : { env: clocks.envs[0]! }),
      earlierBuild,
    });
  const server = await createServer("data");
  const counts = { killedStarting: 0, checks: 0 };
  /** The duration of the last start, for kills during the next one. */
  let startMs = 1_000;

  async function startAndWait(fresh: TorturedServer): Promise<void> {
    const startedMs = clock.elapsedMs();
    fresh.start();
    await fresh.up();
    startMs = clock.elapsedMs() - startedMs;
  }

  async function kill(victim: TorturedServer, isStarting: boolean): Promise<void> {
    await victim.kill();
    faults.count("kill");
    if (isStarting) counts.killedStarting++;
    await check(victim);
  }

  /** Checks the database before a server opens it again. Clients have seen only the database of `server`. */
  async function check({ dataDir }: TorturedServer): Promise<void> {
    counts.checks++;
    const shown = dataDir === server.dataDir ? newestShown() : 0;
    const fault = await findDatabaseFault(dataDir, join(folder, "copy"), shown);
    if (fault !== undefined) onFault(fault);
  }

  /** Kills servers during their first start, each in an empty folder, and starts them again. */
  async function killFirstStarts(): Promise<void> {
    // With other faults, one first start is enough, because each takes seconds.
    const firstStarts = faults.kinds.length > 1 ? 1 : Math.max(1, Math.floor(kills / KILLS_PER_FIRST_START));
    for (let index = 0; index < firstStarts && hasTime(); index++) {
      await using fresh = await createServer(`first-start-${index}`);
      fresh.start();
      await pause(random.float() * startMs);
      await kill(fresh, true);
      await startAndWait(fresh);
      await fresh.kill();
      await rm(fresh.dataDir, { recursive: true, force: true });
    }
  }

  return {
    caPath: join(server.dataDir, "pki", "ca.crt"),
    adminKubeconfig: join(server.dataDir, "admin.kubeconfig"),
    bootstrapKubeconfig: join(server.dataDir, "bootstrap.kubeconfig"),
    async begin() {
      if (faults.has("kill")) await killFirstStarts();
      await startAndWait(server);
      await clocks?.step(random);
    },
    async inflict(fault) {
      await pause(random.float() * LONGEST_RUN_MS);
      switch (fault) {
        case "kill":
          await kill(server, false);
          while (random.float() * STARTING_KILLS < 1 && hasTime()) {
            server.start();
            await pause(random.float() * startMs);
            await kill(server, true);
          }
          return await startAndWait(server);
        case "pause":
          server.signal("SIGSTOP");
          return await faults.last("pause", () => server.signal("SIGCONT"));
        case "clock":
          faults.count("clock");
          return await clocks!.step(random);
        case "partition":
          await network!.disconnect(network!.host, place!);
          return await faults.last("partition", () => network!.reconnect(network!.host, place!));
        case "upgrade":
          await server.kill();
          await check(server);
          server.change();
          faults.count("upgrade");
          return await startAndWait(server);
        case "compact":
          throw new Error(
            "the database of one server cannot be compacted on request: compactions need --servers 2 or more",
          );
      }
    },
    settle: async () => await clocks?.settle(),
    async end() {
      await server.kill();
      await check(server);
    },
    counts: () => counts,
    shares: () => Promise.resolve([]),
    stderr: () => server.stderr(),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await network?.[Symbol.asyncDispose]();
    },
  };
}
