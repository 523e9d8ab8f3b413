/** Commands that a person types, beside the start of the Node that they run on. */
import { measureSeconds } from "../measure.ts";
import { startOurInstance } from "../our_instance.ts";
import { mustEnd } from "../program.ts";
import { atMostTimes, type Scenario } from "../scenario.ts";

/** A start takes a tenth of a second, so more of them fit in a round. */
const RUNS_PER_ROUND = 5;
const PEER = "node -e 0";

/** `tlsboot version`; `node` is the Node of both sides. */
export function versionScenario(node: string): Scenario<"version"> {
  return {
    lines: {
      version: {
        what: "version",
        unit: "s",
        peer: PEER,
        aim: atMostTimes(1.5, "under 1.5 ×"),
      },
    },
    runsPerRound: RUNS_PER_ROUND,
    ours: async (program) => ({ version: { value: await measureSeconds(() => program.run(["version"])) } }),
    theirs: async () => ({ version: { value: await emptyStart(node) } }),
  };
}

/** `tlsboot get csr` against a server that is warm. */
export function getScenario(node: string): Scenario<"get"> {
  return {
    lines: {
      get: {
        what: "get csr",
        unit: "s",
        peer: PEER,
        aim: atMostTimes(2.5),
      },
    },
    runsPerRound: RUNS_PER_ROUND,
    async ours(program) {
      await using instance = await startOurInstance(program);
      const list = () => program.run(["get", "csr", "--data-dir", instance.data]);
      // The server's first answer meets cold code, and is not what is measured.
      await list();
      return { get: { value: await measureSeconds(list) } };
    },
    theirs: async () => ({ get: { value: await emptyStart(node) } }),
  };
}

function emptyStart(node: string): Promise<number> {
  return measureSeconds(() => mustEnd(node, ["-e", "0"]));
}
