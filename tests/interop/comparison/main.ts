/** Replays the corpus by hand: `main.ts [filter…]` prints every difference. */
import process from "node:process";
import { readCorpus } from "./corpus.ts";
import { readMeantDifferences } from "./meant.ts";
import { replayCorpus } from "./replay.ts";
import { formatReport } from "./report.ts";
import { startPair } from "./sides.ts";
import { ensureNode } from "../../../scripts/build/node_runtime.ts";

process.env["TLSBOOT_TEST_NODE"] ??= await ensureNode();
const files = await readCorpus(process.argv.slice(2));
const meant = await readMeantDifferences();
const failed = await (async () => {
  await using pair = await startPair();
  const replayed = await replayCorpus(pair, files, meant, progress).catch((error: unknown) => {
    process.stderr.write(pair.log());
    throw error;
  });
  process.stdout.write(formatReport(replayed));
  return replayed.unused.length + replayed.verdicts.filter(({ unmeant }) => unmeant.length > 0).length;
})();
process.exit(failed === 0 ? 0 : 1);

function progress(name: string): void {
  process.stderr.write(`${name}\n`);
}
