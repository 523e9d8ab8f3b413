/**
 * fast-check with one seed for all runs, so that a failure repeats until it is fixed. `TLSBOOT_TEST_SEED` chooses another,
 * and with `TLSBOOT_TEST_SEED=random` each process takes one by chance and prints it.
 */
import { randomInt } from "node:crypto";
import process from "node:process";
import fc from "fast-check";
import { isFullRun } from "./full_run.ts";

const SEED = 20_261_125;

/** What holds for the values of one engine holds for those of the other, so Deno tries fewer of them. */
const RUNS = process.versions["deno"] === undefined || isFullRun ? 100 : 20;

fc.configureGlobal({ seed: chooseSeed(process.env["TLSBOOT_TEST_SEED"]), numRuns: RUNS });

function chooseSeed(wanted: string | undefined): number {
  if (wanted !== "random") return wanted === undefined ? SEED : Number(wanted);
  const seed = randomInt(2 ** 31);
  process.stderr.write(`TLSBOOT_TEST_SEED=${seed}\n`);
  return seed;
}

/** The first of the surrogates, which are code points but no characters, and their number. */
const [SURROGATE, SURROGATES] = [0xd800, 0x800];
const character = fc.integer({ min: 0, max: 0x10ffff - SURROGATES })
  .map((at) => String.fromCodePoint(at < SURROGATE ? at : at + SURROGATES));

/** Any well-formed text, as `unit: "binary"` of fast-check, which first spends a second on a table of all characters. */
export function anyText(
  lengths: { readonly minLength?: number; readonly maxLength?: number } = {},
): fc.Arbitrary<string> {
  return fc.string({ ...lengths, unit: character });
}

export default fc;
