/** Measures interactive commands, compared with the start of the Node that they run on. */
import { AIMS } from "../aims.ts";
import { measureSeconds } from "../measure.ts";
import { startOurInstance } from "../our_instance.ts";
import { mustEnd } from "../program.ts";
import type { Reading, Scenario } from "../scenario.ts";
import { findMedian } from "../stats.ts";

/** The number of starts in a round. Their median counts, because one start takes only a tenth of a second. */
const STARTS = 5;
const PEER = "node -e 0";

/** Creates the scenario of `tlsboot version`; `node` is the Node of both sides. */
export function versionScenario(node: string): Scenario<"version"> {
  return {
    lines: { version: { what: "version", unit: "s", peer: PEER, aim: AIMS.version } },
    ours: async (program) => ({ version: await readStarts(() => program.run(["version"])) }),
    theirs: async () => ({ version: await readStarts(() => mustEnd(node, ["-e", "0"])) }),
  };
}

/** Creates the scenario of `tlsboot get csr` with a warm server. */
export function getScenario(node: string): Scenario<"get"> {
  return {
    lines: { get: { what: "get csr", unit: "s", peer: PEER, aim: AIMS.getCsr } },
    async ours(program) {
      await using instance = await startOurInstance(program);
      const list = () => program.run(["get", "csr", "--data-dir", instance.data]);
      // The server's first answer runs cold code and is not measured.
      await list();
      return { get: await readStarts(list) };
    },
    theirs: async () => ({ get: await readStarts(() => mustEnd(node, ["-e", "0"])) }),
  };
}

async function readStarts(start: () => Promise<unknown>): Promise<Reading> {
  const seconds: number[] = [];
  while (seconds.length < STARTS) seconds.push(await measureSeconds(start));
  return { value: findMedian(seconds) };
}
