/**
 * Measures work without a connection, on one thread: core's signer beside OpenSSL's verify and sign alone, and the
 * authentication of a certificate with many revocations beside one with none.
 */
import { join } from "node:path";
import process from "node:process";
import { NODE_FLAGS } from "../../support/child.ts";
import { mustEnd } from "../program.ts";
import { atMostTimes, type Reading, type Scenario } from "../scenario.ts";

/** Microseconds hide in a start, so it is a program of its own that takes its own times, on the Node of both sides. */
async function runOneThread(
  node: string,
  what: "core" | "openssl" | "revocations" | "authentication",
  count: number,
): Promise<Reading> {
  const program = join(process.cwd(), "tests", "bench", "programs", "one_thread.ts");
  const { stdout } = await mustEnd(node, [...NODE_FLAGS, program, what, String(count)]);
  return JSON.parse(stdout) as Reading;
}

/** Signs certificates. The file cannot run another program; its core is the same. */
export function oneThreadScenario(node: string, certificates: number): Scenario<"sign"> {
  return {
    lines: {
      sign: {
        what: "verify a P-256 CSR and issue, one thread",
        unit: "ms",
        peer: "OpenSSL's verify and sign alone",
        aim: atMostTimes(3, "within 3 ×"),
      },
    },
    ours: async () => ({ sign: await runOneThread(node, "core", certificates) }),
    theirs: async () => ({ sign: await runOneThread(node, "openssl", certificates) }),
  };
}

/** A thousand authentications may take ten milliseconds more, because one may take ten microseconds more. */
const A_THOUSAND = 1_000;
const MORE_MS = 10;

/** Authenticates one client certificate again and again, as a connection does. */
export function revocationScenario(node: string, thousands: number): Scenario<"authenticate"> {
  const run = async (what: "revocations" | "authentication"): Promise<Reading> => {
    const reading = await runOneThread(node, what, thousands * A_THOUSAND);
    return { ...reading, value: reading.value * A_THOUSAND };
  };
  return {
    lines: {
      authenticate: {
        what: "authenticate a certificate 1000 times with 10000 revocations, one thread",
        unit: "ms",
        peer: "without revocations",
        aim: {
          text: "10 ms more",
          isBesidePeer: true,
          isMet: (ours, theirs) => ours - theirs < MORE_MS,
        },
      },
    },
    ours: async () => ({ authenticate: await run("revocations") }),
    theirs: async () => ({ authenticate: await run("authentication") }),
  };
}
