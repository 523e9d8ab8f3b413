/**
 * `deno task differential`: sends random exchanges to a real kube-apiserver and to `tlsboot serve` and reports where the answers differ, grouped by cause, each with the shortest sequence that shows it. The same seed generates the same exchanges; the default is a new seed, which is printed. `--self` compares two kube-apiservers; `--save` writes the findings as a corpus file.
 *
 * Usage: main.ts [--seed S] [--count N] [--scene N] [--self] [--save FILE]
 */
import { randomInt } from "node:crypto";
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { ensureNode } from "../../../scripts/build/node_runtime.ts";
import { parseFlags, runMain, wholeNumber } from "../../support/command_line.ts";
import { startPair } from "../comparison/sides.ts";
import { Stage } from "./play.ts";
import { computeAgreement, formatCorpusFile } from "./report.ts";
import { createScene } from "./scenes.ts";
import { explain } from "./shrink.ts";

async function main(): Promise<number> {
  const { values } = parseFlags({
    options: {
      seed: { type: "string", default: `${randomInt(1_000_000_000)}` },
      count: { type: "string", default: "1000" },
      scene: { type: "string" },
      self: { type: "boolean", default: false },
      save: { type: "string" },
    },
  });
  const seed = wholeNumber("seed", values.seed);
  const count = wholeNumber("count", values.count);
  process.env["TLSBOOT_TEST_NODE"] ??= await ensureNode();
  await using pair = await startPair(values.self);
  const stage = await Stage.open(pair);
  process.stdout.write(`seed ${seed}\n`);
  const played = values.scene === undefined
    ? await stage.playMany(seed, count)
    : await stage.play(createScene(seed, wholeNumber("scene", values.scene)));
  const { compared, findings } = played;
  const { text, smallest } = await explain(stage, findings);
  const agreement = computeAgreement(played).toFixed(2);
  process.stdout.write(
    `${text}\n${compared - findings.length} of ${compared} exchanges had the same answers, ${agreement} %\n`,
  );
  if (values.save !== undefined && smallest.length > 0) {
    await writeFile(
      values.save,
      formatCorpusFile(smallest.map(({ scene }) => scene), `Differences that seed ${seed} found, shrunk`),
    );
  }
  return findings.length === 0 ? 0 : 1;
}

runMain("differential", main);
