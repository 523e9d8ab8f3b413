/**
 * fast-check with one seed for all runs, so that a failure repeats until it is fixed. `TLSBOOT_TEST_SEED` sets another
 * seed; `.ci/full` chooses a new one and prints it.
 */
import process from "node:process";
import fc from "fast-check";
import { isFullRun } from "./full_run.ts";

const SEED = Number(process.env["TLSBOOT_TEST_SEED"] || 20_261_125);
if (!Number.isSafeInteger(SEED)) throw new Error("TLSBOOT_TEST_SEED must be a whole number");

/** Deno tries fewer values, because a property rarely depends on the engine. */
const RUNS = process.versions["deno"] === undefined || isFullRun ? 100 : 20;

fc.configureGlobal({ seed: SEED, numRuns: RUNS });

/** The first surrogate, and the number of surrogates, which are code points but not characters. */
const [SURROGATE, SURROGATES] = [0xd800, 0x800];
const character = fc.integer({ min: 0, max: 0x10ffff - SURROGATES })
  .map((at) => String.fromCodePoint(at < SURROGATE ? at : at + SURROGATES));

/**
 * Creates any well-formed text, as `unit: "binary"` of fast-check does, but without its table of all characters, which
 * takes a second.
 */
export function anyText(
  lengths: { readonly minLength?: number; readonly maxLength?: number } = {},
): fc.Arbitrary<string> {
  return fc.string({ ...lengths, unit: character });
}

export default fc;
