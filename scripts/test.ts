/**
 * Runs suites on Deno and on Node 24 and sums what their reports say.
 *
 * `deno task test` runs everything that needs only npm; `deno task interop` the suite against a real Kubernetes.
 * Usage: test.ts unit|interop [--report FILE] [filter…]
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { glob } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type Counts, readCounts } from "./_junit.ts";
import { run } from "./_run.ts";
import { ensureNode } from "./node_runtime.ts";

const UNIT = [
  "core/**/*_test.ts",
  "server/**/*_test.ts",
  "client/**/*_test.ts",
  "cli/**/*_test.ts",
  "scripts/**/*_test.ts",
  "tests/*_test.ts",
  "tests/contract/*_test.ts",
  "tests/e2e/*_test.ts",
];
const INTEROP = ["tests/interop/*_test.ts"];

async function main(): Promise<number> {
  const [suite = "unit", ...rest] = process.argv.slice(2);
  const reportAt = rest.indexOf("--report");
  const report = reportAt < 0 ? undefined : rest[reportAt + 1];
  const filters = reportAt < 0 ? rest : [...rest.slice(0, reportAt), ...rest.slice(reportAt + 2)];
  const files = (await filesOf(suite === "interop" ? INTEROP : UNIT)).filter((file) =>
    filters.length === 0 || filters.some((filter) => file.includes(filter))
  );
  const reports = await mkdtemp(join(tmpdir(), "tlsboot-test-"));
  try {
    const counts: Counts[] = [];
    const deno = join(reports, "deno.xml");
    await run(process.execPath, ["test", "-A", "--no-check", "--quiet", `--junit-path=${deno}`, ...files]);
    counts.push(announce("Deno", await readCounts(deno)));
    if (suite !== "interop") {
      const node = join(reports, "node.xml");
      await run(await ensureNode(), [
        "--test",
        "--disable-warning=ExperimentalWarning",
        "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
        "--test-concurrency=2",
        "--test-reporter=dot",
        "--test-reporter-destination=stdout",
        "--test-reporter=junit",
        `--test-reporter-destination=${node}`,
        ...files,
      ]);
      counts.push(announce("Node", await readCounts(node)));
    }
    const total = counts.reduce((sum, { passed, failed }) => ({
      passed: sum.passed + passed,
      failed: sum.failed + failed,
    }));
    if (report !== undefined) await writeFile(report, JSON.stringify(total));
    process.stdout.write(`${suite}: ${total.passed} passed, ${total.failed} failed\n`);
    return total.failed === 0 ? 0 : 1;
  } finally {
    await rm(reports, { recursive: true, force: true });
  }
}

async function filesOf(patterns: readonly string[]): Promise<readonly string[]> {
  const files: string[] = [];
  for (const pattern of patterns) for await (const file of glob(pattern)) files.push(file);
  return files.sort();
}

function announce(runtime: string, counts: Counts): Counts {
  process.stdout.write(`\n${runtime}: ${counts.passed} passed, ${counts.failed} failed\n`);
  return counts;
}

main().then((code) => process.exit(code), (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
