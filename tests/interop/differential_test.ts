/**
 * Sends random exchanges to a real kube-apiserver 1.37 and to `tlsboot serve`. Their answers must be the same.
 * `differential/` generates and shrinks them; `deno task differential` does the same manually.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { startPair } from "./comparison/sides.ts";
import { Stage } from "./differential/play.ts";
import { computeAgreement } from "./differential/report.ts";
import { explain } from "./differential/shrink.ts";

/** Seeds whose exchanges all have the same answers. */
const FIXED_SEEDS = [2, 3];
/** The number of exchanges sent for a fixed seed, and for a new one. */
const [EXCHANGES, NEW_EXCHANGES] = [2_500, 20_000];
/** In `.ci/full`, a seed that was never tried. */
const NEW_SEED = process.env["TLSBOOT_TEST_SEED"] || undefined;
/** The percentage of a new seed's exchanges that must have the same answers. */
const MIN_AGREEMENT = 99.9;

describe("differential", () => {
  let pair: Awaited<ReturnType<typeof startPair>> | undefined;
  let stage: Stage;
  before(async () => {
    pair = await startPair();
    stage = await Stage.open(pair);
  });
  after(() => pair?.[Symbol.asyncDispose]());

  const assertAgreement = async (seed: number, count: number, least: number): Promise<void> => {
    const played = await stage.playMany(seed, count);
    const agreement = computeAgreement(played);
    if (agreement >= least) return;
    assert.fail(`seed ${seed}: ${agreement.toFixed(2)} %\n${(await explain(stage, played.findings)).text}`);
  };

  for (const seed of FIXED_SEEDS) {
    test(`every exchange of seed ${seed} has kube-apiserver's answer`, () => assertAgreement(seed, EXCHANGES, 100));
  }

  if (NEW_SEED !== undefined) {
    test(`at least ${MIN_AGREEMENT} % of the exchanges of the new seed ${NEW_SEED} have kube-apiserver's answers`, () =>
      assertAgreement(Number(NEW_SEED), NEW_EXCHANGES, MIN_AGREEMENT));
  }
});
