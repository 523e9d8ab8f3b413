/**
 * Random exchanges go to a real kube-apiserver 1.37 and to `tlsboot serve`; the answers must be the same. How they are
 * made and made smaller is in `differential/`; `deno task differential` does the same by hand.
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

/** Seeds whose exchanges are answered alike, all of them. */
const FIXED_SEEDS = [2, 3];
/** The number of exchanges sent for each seed. */
const EXCHANGES = 2_500;
/** A seed that was never tried, in a full run. */
const NEW_SEEDS = isFullRun ? [randomInt(1_000_000_000)] : [];
/** The part of the exchanges of a new seed, in percent, that is answered alike. */
const AIM = 99.8;

interface Outcome {
  /** The number of exchanges of a hundred that must agree. */
  readonly agreement: number;
  readonly report: string;
}

let playing: Promise<ReadonlyMap<number, Outcome>> | undefined;

/** One pair of servers plays all seeds. */
function played(): Promise<ReadonlyMap<number, Outcome>> {
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
  test(`differential: every exchange of seed ${seed} is answered as kube-apiserver answers it`, async () => {
    const { agreement, report } = (await played()).get(seed)!;
    assert.equal(agreement, 100, report);
  });
}

for (const seed of NEW_SEEDS) {
  test(`differential: of the exchanges of the new seed ${seed} ${AIM} % are answered as kube-apiserver answers them`, async () => {
    const { agreement, report } = (await played()).get(seed)!;
    process.stdout.write(`${report}\n`);
    assert.ok(agreement >= AIM, report);
  });
}
