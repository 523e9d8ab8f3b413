/** Measures a signature without a connection: core's signer on one thread, beside OpenSSL's verify and sign alone. */
import { join } from "node:path";
import process from "node:process";
import { NODE_FLAGS } from "../../support/child.ts";
import { mustEnd } from "../program.ts";
import { atMostTimes, type Reading, type Scenario } from "../scenario.ts";

/** Microseconds hide in a start, so it is a program of its own that takes its own times, on the Node of both sides. */
export function oneThreadScenario(node: string, certificates: number): Scenario<"sign"> {
  const run = async (what: "core" | "openssl"): Promise<Reading> => {
    const program = join(process.cwd(), "tests", "bench", "programs", "one_thread.ts");
    const { stdout } = await mustEnd(node, [...NODE_FLAGS, program, what, String(certificates)]);
    return JSON.parse(stdout) as Reading;
  };
  return {
    lines: {
      sign: {
        what: "verify a P-256 CSR and issue, one thread",
        unit: "ms",
        peer: "OpenSSL's verify and sign alone",
        findAim: () => atMostTimes(3, "within 3 ×"),
      },
    },
    // The file cannot run another program; its core is the same.
    forms: ["sources"],
    ours: async () => ({ sign: await run("core") }),
    theirs: async () => ({ sign: await run("openssl") }),
  };
}
