/**
 * `deno task differential`: sends random exchanges to a real kube-apiserver and to `tlsboot serve` and reports where the
 * answers differ: in groups with one cause, each with the shortest sequence that shows it. The same seed makes the same
 * exchanges; without one it is a new one, which is printed. `--self` compares two kube-apiservers; `--save` writes what was
 * found as a file of the corpus.
 *
 * Usage: main.ts [--seed S] [--count N] [--scene N] [--self] [--examples N] [--save FILE]
 */
import { randomInt } from "node:crypto";
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { parseArgs } from "node:util";
import { ensureNode } from "../../../scripts/build/node_runtime.ts";
import { startPair, startTwins } from "../comparison/sides.ts";
import { type Finding, type Played, Stage } from "./play.ts";
import {
  computeAgreement,
  formatCorpusFile,
  formatDifferences,
  formatEntries,
  groupFindings,
  toLikeness,
  toSignature,
} from "./report.ts";
import { createScene } from "./scenes.ts";
import { shrink } from "./shrink.ts";

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      count: { type: "string", default: "1000" },
      scene: { type: "string" },
      self: { type: "boolean", default: false },
      examples: { type: "string", default: "10" },
      save: { type: "string" },
    },
  });
  const seed = values.seed === undefined ? randomInt(1_000_000_000) : wholeNumber("seed", values.seed);
  const count = wholeNumber("count", values.count);
  process.env["TLSBOOT_TEST_NODE"] ??= await ensureNode();
  await using pair = values.self ? await startTwins() : await startPair();
  const stage = await Stage.open(pair);
  process.stdout.write(`seed ${seed}\n`);
  const played = values.scene === undefined
    ? await stage.playMany(seed, count)
    : await stage.play(createScene(seed, wholeNumber("scene", values.scene)));
  process.stdout.write(`${summarize(played)}\n`);
  const examples: Finding[] = [];
  for (const group of groupFindings(played.findings, toLikeness).slice(0, wholeNumber("examples", values.examples))) {
    const [first] = group.findings;
    if (first === undefined) continue;
    const smallest = await shrink(stage, first);
    process.stdout.write(`\n${describe(group.findings, smallest)}\n`);
    if (smallest !== undefined) examples.push(smallest);
  }
  if (values.save !== undefined && examples.length > 0) {
    const scenes = examples.map(({ scene }) => scene);
    await writeFile(values.save, formatCorpusFile(scenes, `What seed ${seed} found, made smaller`));
  }
  return played.findings.length === 0 ? 0 : 1;
}

function summarize(played: Played): string {
  const { compared, findings } = played;
  const rate = `${compared - findings.length} of ${compared} exchanges were answered alike, ${
    computeAgreement(played).toFixed(2)
  } %`;
  const groups = groupFindings(findings, toSignature).map((group) =>
    `${String(group.findings.length).padStart(5)}  ${group.signature}`
  );
  return [...groups, rate].join("\n");
}

/** A group: how often, the difference, and the entries of the corpus that show it. */
function describe(findings: readonly Finding[], smallest: Finding | undefined): string {
  const [first] = findings;
  const scenes = findings.slice(0, 5).map(({ scene }) => scene.index).join(", ");
  return [
    `${findings.length} times, in scenes ${scenes}`,
    ...groupFindings(findings, toSignature).map((group) => `- ${group.findings.length} × ${group.signature}`),
    "",
    ...(first === undefined ? [] : [formatDifferences(smallest ?? first)]),
    "",
    smallest === undefined ? "It did not show again." : formatEntries(smallest.scene, "differential"),
  ].join("\n");
}

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Error(`--${name} is a whole number below a thousand million, not "${text}"`);
}

main().then((code) => process.exit(code), (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
