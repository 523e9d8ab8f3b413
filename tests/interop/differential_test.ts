/**
 * Sends random exchanges to a real kube-apiserver 1.37 and to `tlsboot serve`. Their answers must be the same.
 * `differential/` generates and shrinks them; `deno task differential` does the same manually.
 */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import process from "node:process";
import { test } from "node:test";
import { isFullRun } from "../support/full_run.ts";
import { startPair } from "./comparison/sides.ts";
import { Stage } from "./differential/play.ts";
import { computeAgreement } from "./differential/report.ts";
import { explain } from "./differential/shrink.ts";

/** Seeds whose exchanges all have the same answers. */
const FIXED_SEEDS = [2, 3];
/** The number of exchanges sent for each seed. */
const EXCHANGES = 2_500;
/** In a full run, a seed that was never tried. */
const NEW_SEEDS = isFullRun ? [randomInt(1_000_000_000)] : [];
/** The percentage of a new seed's exchanges that must have the same answers. */
const MIN_AGREEMENT = 99.8;

interface Outcome {
  /** The percentage of exchanges with the same answers. */
  readonly agreement: number;
  readonly report: string;
}

let playing: Promise<ReadonlyMap<number, Outcome>> | undefined;

/** One pair of servers plays all seeds. */
function playOnce(): Promise<ReadonlyMap<number, Outcome>> {
  playing ??= (async () => {
    await using pair = await startPair();
    const stage = await Stage.open(pair);
    const outcomes = new Map<number, Outcome>();
    for (const seed of [...FIXED_SEEDS, ...NEW_SEEDS]) {
      const { compared, findings } = await stage.playMany(seed, EXCHANGES);
      const again = await stage.confirm(findings);
      const agreement = computeAgreement({ compared, findings: again });
      outcomes.set(seed, {
        agreement,
        report: `seed ${seed}: ${agreement.toFixed(2)} %\n${(await explain(stage, again)).text}`,
      });
    }
    return outcomes;
  })();
  return playing;
}

for (const seed of FIXED_SEEDS) {
  test(`differential: every exchange of seed ${seed} has kube-apiserver's answer`, async () => {
    const { agreement, report } = (await playOnce()).get(seed)!;
    assert.equal(agreement, 100, report);
  });
}

for (const seed of NEW_SEEDS) {
  test(`differential: at least ${MIN_AGREEMENT} % of the exchanges of the new seed ${seed} have kube-apiserver's answers`, async () => {
    const { agreement, report } = (await playOnce()).get(seed)!;
    process.stdout.write(`${report}\n`);
    assert.ok(agreement >= MIN_AGREEMENT, report);
  });
}
