/**
 * fast-check with one seed for all runs, so that a failure repeats until it is fixed. `TLSBOOT_TEST_SEED` chooses another,
 * and with `TLSBOOT_TEST_SEED=random` each process takes one by chance and prints it.
 */
import { randomInt } from "node:crypto";
import process from "node:process";
import fc from "fast-check";

const SEED = 20_261_125;

fc.configureGlobal({ seed: chooseSeed(process.env["TLSBOOT_TEST_SEED"]) });

function chooseSeed(wanted: string | undefined): number {
  if (wanted !== "random") return wanted === undefined ? SEED : Number(wanted);
  const seed = randomInt(2 ** 31);
  process.stderr.write(`TLSBOOT_TEST_SEED=${seed}\n`);
  return seed;
}

export default fc;
