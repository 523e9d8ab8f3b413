/**
 * Runs suites on Deno and on Node 24 and sums what their reports say.
 *
 * `deno task test` runs what needs only npm, and leaves the dearest files to `--all`; `deno task interop` the suite against
 * a real Kubernetes, `deno task programs` more programs of others than that suite tries, `deno task packages` what is
 * handed out: built, installed, used. Slow tests run on Deno; `--all` runs them on Node too: those that start tlsboot start
 * the released file, which is a Node, built first, and the tests of that file run as well. `--binary` runs only the tests
 * that use the released file, or the suite against a real Kubernetes with it. `--timings` lists the processes that took
 * longest, and most of the CPU.
 * With `TEST_SHARE` a slow file runs on one of its runtimes, and dear files take turns; see `turns.ts`. With `--again` a
 * batch that failed runs once more, alone. If it passes then, it counts as passed, and its first failures are printed as
 * UNSTEADY: they are races to find and mend, on machines that others load too.
 * Usage: main.ts unit|interop|programs|packages [--all] [--binary] [--timings] [--again] [--report FILE] [filter…]
 */
import { readFileSync } from "node:fs";
import { glob, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join, posix } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { NODE_FLAGS, ROOT } from "../support/child.ts";
import { formatFailures, type Outcome, readOutcome, sumOutcomes } from "./junit.ts";
import { splitByTurn } from "./turns.ts";
import { cacheDir, runAside } from "../../scripts/processes.ts";
import { bundle, writeBundle } from "../../scripts/build/bundle.ts";
import { ensureReleasedFile } from "../../scripts/build/run.ts";
import { ensureNode } from "../../scripts/build/node_runtime.ts";

const UNIT = [
  "core/**/*_test.ts",
  "controllers/**/*_test.ts",
  "server/**/*_test.ts",
  "client/**/*_test.ts",
  "cli/**/*_test.ts",
  "scripts/**/*_test.ts",
  "tests/*_test.ts",
  "tests/runner/*_test.ts",
  "tests/contract/*_test.ts",
  "tests/bench/**/*_test.ts",
  "tests/fuzz/**/*_test.ts",
  "tests/overload/**/*_test.ts",
  "tests/torture/**/*_test.ts",
  "tests/simulation/*_test.ts",
  "tests/e2e/*_test.ts",
  "tests/security/*_test.ts",
  // How answers are read, cut down and compared needs no Kubernetes.
  "tests/interop/comparison/*_test.ts",
  "tests/interop/differential/*_test.ts",
];

/** The files of each suite. */
const SUITES: Readonly<Record<string, readonly string[]>> = {
  unit: UNIT,
  interop: ["tests/interop/*_test.ts"],
  packages: ["tests/packages/*_test.ts"],
  programs: ["tests/interop/programs_test.ts"],
};
/** The tests of the released file. */
const FILE = ["tests/binary/*_test.ts"];

/** Files whose tests are slow; most of them start programs. Each runs in a process of its own. */
const SLOW =
  /^(?:tests\/(?:binary|e2e|interop|overload|packages|security)\/|scripts\/build\/|tests\/simulation\/simulation_test)/;

/** The files that take most processor time, beside those of `bootstrap` and `up`: without words, only `--all` runs them. */
const ONLY_WITH_ALL = [
  "tests/e2e/backup_test.ts",
  "tests/e2e/bootstrap_discovery_test.ts",
  "tests/e2e/bootstrap_serving_test.ts",
  "tests/e2e/ca_ceremony_test.ts",
  "tests/e2e/ca_crl_test.ts",
  "tests/e2e/ca_passphrase_test.ts",
  "tests/e2e/ca_rotate_test.ts",
  "tests/e2e/ca_shares_test.ts",
  "tests/e2e/doctor_test.ts",
  "tests/e2e/issued_log_test.ts",
  "tests/e2e/token_limits_test.ts",
  "tests/security/files_test.ts",
  "tests/security/growth_bodies_test.ts",
  "tests/security/growth_test.ts",
  "tests/security/redirect_test.ts",
  "tests/security/secrets_roles_test.ts",
  "tests/security/secrets_test.ts",
  "tests/security/terminal_test.ts",
  "tests/simulation/simulation_test.ts",
];

/** The module that starts tlsboot as a program. The end-to-end and security tests that use it try the released file too. */
const STARTS_TLSBOOT = "tests/support/child.ts";

/** Files that start the sources on each runtime, and not only what was made of them: a cache, and a whole story. */
const SOURCES = ["tests/e2e/compile_cache_test.ts", "tests/e2e/bootstrap_test.ts"];

/** The suites that run beside a real Kubernetes. */
const NEEDS_PEERS: readonly string[] = ["interop", "programs"];

/** Where the released files are built. */
const DIST = join(process.cwd(), "dist");

/** The number of lines of each failure that are printed again at the end. */
const LINES_EACH = 20;

/**
 * The number of test processes that run side by side for each core. Most tests wait most of the time, for a program to
 * start or for a deadline. With more of them, a slow machine makes programs miss the time that tests give them.
 */
const LANES_PER_CORE = 3;

/** The number of batches that `--again` runs again. */
const MOST_AGAIN = 3;

/** The number of files of unit tests that share a process. A process for each file would take twice as long. */
const FILES_IN_A_BATCH = 24;

/** Tests that take a minute or longer, the longest first. They start in this order, so that nothing waits for them. */
const LONG = [
  "tests/interop/ca_rotation_test.ts",
  "tests/interop/ca_rotation_shared_test.ts",
  "tests/interop/whole_kubelet_test.ts",
  "tests/interop/soak_test.ts",
  "tests/interop/disk_fault_test.ts",
  "tests/interop/disk_fault_backup_test.ts",
  "tests/interop/etcd_storm_test.ts",
  "tests/interop/guides_test.ts",
  "tests/interop/comparison_test.ts",
  "tests/interop/kubectl_comparison_test.ts",
  "tests/interop/tls_scan_test.ts",
  "tests/interop/ui_load_test.ts",
  "tests/interop/real_control_plane_test.ts",
  "tests/interop/clock_test.ts",
  "tests/interop/signer_comparison_test.ts",
  "tests/interop/kubeconfig_user_test.ts",
  "tests/interop/request_test.ts",
  "tests/interop/etcd_shared_test.ts",
  "tests/interop/kubectl_csr_commands_test.ts",
  "tests/interop/disk_fault_client_test.ts",
  "tests/interop/kubelet_rotation_test.ts",
  "tests/security/files_test.ts",
  "tests/e2e/ca_rotate_test.ts",
  "tests/security/terminal_test.ts",
  "tests/e2e/backup_test.ts",
  "tests/e2e/doctor_test.ts",
  "tests/binary/emulated_test.ts",
];

/** The module by which tests take turns. */
const TURNS = "tests/runner/turns.ts";

/**
 * Dear files that take turns, in an order in which every third takes about as much processor time as the next ones. What
 * is not here has tests that take turns, or is the core of its suite.
 */
const IN_TURN = [
  "tests/interop/ca_rotation_test.ts",
  "tests/interop/ca_rotation_shared_test.ts",
  "tests/interop/etcd_storm_test.ts",
  "tests/interop/etcd_move_test.ts",
  "tests/interop/ui_load_test.ts",
  "tests/interop/tls_scan_test.ts",
  "tests/interop/power_loss_test.ts",
  "tests/interop/etcd_restore_test.ts",
  "tests/interop/ui_test.ts",
  "tests/interop/csr_bundle_test.ts",
  "tests/interop/signer_comparison_test.ts",
  "tests/interop/clock_test.ts",
  "tests/interop/signer_election_test.ts",
  "tests/interop/programs_test.ts",
  "tests/interop/privilege_matrix_test.ts",
  "tests/interop/approver_comparison_test.ts",
  "tests/interop/ui_kubernetes_test.ts",
  "tests/interop/soak_test.ts",
  "tests/interop/pod_certificates_test.ts",
  "tests/interop/approver_policy_test.ts",
  "tests/interop/bit_rot_test.ts",
  "tests/interop/in_a_cluster_test.ts",
  "tests/interop/token_limits_test.ts",
  "tests/interop/etcd_lagging_test.ts",
  "tests/interop/kubelet_ca_test.ts",
  "tests/interop/etcd_faults_test.ts",
  "tests/interop/web_certificates_test.ts",
  "tests/interop/metrics_test.ts",
  "tests/interop/ca_test.ts",
  "tests/interop/doctor_cluster_test.ts",
  "tests/interop/trust_client_test.ts",
  "tests/interop/zlint_test.ts",
  "tests/interop/etcd_handover_test.ts",
  "tests/interop/kubelet_rotation_test.ts",
  "tests/interop/ca_rotation_cluster_test.ts",
  "tests/interop/ui_security_test.ts",
  "tests/interop/post_quantum_test.ts",
  "tests/interop/offline_test.ts",
  "tests/interop/ca_rotate_servers_test.ts",
  "tests/interop/etcd_tls_test.ts",
  "tests/interop/doctor_test.ts",
  "tests/interop/client_node_test.ts",
  "tests/interop/new_ca_test.ts",
  "tests/interop/whole_kubelet_test.ts",
  "tests/interop/signer_rights_test.ts",
  "tests/packages/npm_test.ts",
  "tests/packages/deb_test.ts",
  "tests/packages/image_test.ts",
  "tests/packages/rpm_test.ts",
];

/** Runs test files in one process and writes a JUnit report. */
interface Runtime {
  /** The runtime of the tests, or `File` for the released file, whose tests run on Deno. */
  readonly name: "Deno" | "Node" | "File";
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
  readonly args: (files: readonly string[], report: string) => Promise<readonly string[]>;
}

/** Test files for one runtime. */
interface Plan {
  readonly runtime: Runtime;
  readonly files: readonly string[];
}

/** Test files that one process runs. */
interface Batch {
  /** Batches of a lower rank start first. */
  readonly rank: number;
  readonly runtime: Runtime;
  readonly files: readonly string[];
}

/** The result of a batch. */
interface BatchResult extends Batch {
  readonly outcome: Outcome;
  readonly seconds: number;
  /** The processor time of its process and of all programs that this one started and waited for. */
  readonly cpuSeconds: number;
}

async function main(): Promise<number> {
  const { values, positionals: [suite = "unit", ...filters] } = parseArgs({
    options: {
      again: { type: "boolean", default: false },
      all: { type: "boolean", default: false },
      binary: { type: "boolean", default: false },
      report: { type: "string" },
      timings: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  if (SUITES[suite] === undefined) throw new Error(`no suite is called ${suite}; there are ${Object.keys(SUITES)}`);
  const reports = await mkdtemp(join(tmpdir(), "tlsboot-test-"));
  try {
    const batches = suite === "unit"
      ? await planUnitTests(filters, reports, { isAll: values.all, isBinary: values.binary })
      : planBatches(
        deno(await createPeerEnvironment(suite, values.binary)),
        chooseFiles(await findFiles(SUITES[suite], filters)),
      );
    if (batches.length === 0) throw new Error(`no file of the suite ${suite} has ${filters.join(", ")} in its path`);
    const lanes = availableParallelism() * LANES_PER_CORE;
    const first = await runBatches(batches.sort((a, b) => a.rank - b.rank), reports, lanes);
    const results = values.again ? await runAgain(first, reports) : first;
    if (values.timings) process.stdout.write(formatTimings(results));
    for (const name of new Set(batches.map(({ runtime }) => runtime.name))) {
      const { passed, failed } = sumOutcomes(
        results.filter(({ runtime }) => runtime.name === name).map((r) => r.outcome),
      );
      process.stdout.write(`${name}: ${passed} passed, ${failed} failed\n`);
    }
    const { passed, failed, failures } = sumOutcomes(results.map(({ outcome }) => outcome));
    if (values.report !== undefined) await writeFile(values.report, JSON.stringify({ passed, failed }));
    process.stdout.write(formatFailures(failures, LINES_EACH));
    process.stdout.write(`${suite}${values.binary ? "-binary" : ""}: ${passed} passed, ${failed} failed\n`);
    return failed === 0 ? 0 : 1;
  } finally {
    await rm(reports, { recursive: true, force: true });
  }
}

/** Plans everything that needs only npm: all of it on Deno, the quick tests on Node, and more with the two flags. */
async function planUnitTests(
  filters: readonly string[],
  folder: string,
  { isAll, isBinary }: { readonly isAll: boolean; readonly isBinary: boolean },
): Promise<Batch[]> {
  const found = await findFiles(UNIT, filters);
  const isQuick = !isAll && !isBinary && filters.length === 0;
  const files = isQuick ? leaveOut(found, ONLY_WITH_ALL, "--all") : found;
  const plans: Plan[] = [];
  if (!isBinary) {
    const onNode = files.filter((file) => !SLOW.test(file) || isAll && (SOURCES.includes(file) || !triesFile(file)));
    const onDeno = files.filter((file) => !SOURCES.includes(file));
    plans.push(
      { runtime: deno(), files: files.filter((file) => SOURCES.includes(file)) },
      { runtime: deno(onDeno.some(triesFile) ? await bundleProgram(folder) : {}), files: onDeno },
      { runtime: node(await ensureNode()), files: onNode },
    );
  }
  if (isAll || isBinary) {
    const withFile = [...await findFiles(FILE, filters), ...files.filter(triesFile)];
    // The tests of the file cover all targets.
    if (withFile.length > 0) {
      plans.push({ runtime: releasedFile(await ensureReleasedFile("all", DIST)), files: withFile });
    }
  }
  return chooseRuntimes(plans).flatMap(({ runtime, files }) => planBatches(runtime, files));
}

/**
 * Leaves a slow file that several runtimes run to those whose turn it is, and prints what the others would have run. Half
 * of the files begin with each runtime, so that each turn takes equally long.
 */
function chooseRuntimes(plans: readonly Plan[]): readonly Plan[] {
  const runsNow = ({ runtime }: Plan, file: string): boolean => {
    const runtimes = plans.filter((plan) => plan.files.includes(file)).map((plan) => plan.runtime);
    const first = [...file].reduce((sum, character) => sum + character.charCodeAt(0), 0) % runtimes.length;
    const [now] = splitByTurn([...runtimes.slice(first), ...runtimes.slice(0, first)]);
    return !SLOW.test(file) || now.includes(runtime);
  };
  return plans.map((plan) => ({
    ...plan,
    files: leaveOut(
      plan.files,
      plan.files.filter((file) => !runsNow(plan, file)),
      `another turn on ${plan.runtime.name}`,
    ),
  }));
}

/** Leaves out the dear files whose turn it is not, and prints which. */
function chooseFiles(files: readonly string[]): readonly string[] {
  // A file that runs in every third turn, and in it the tests of that turn, would never run the others.
  const twice = IN_TURN.filter((file) => imports(file, TURNS));
  if (twice.length > 0) throw new Error(`the tests of ${twice.join(", ")} take turns: the file itself must not`);
  return leaveOut(files, splitByTurn(IN_TURN.filter((file) => files.includes(file)))[1], "another turn");
}

/** Removes files that another run has, and prints which. */
function leaveOut(files: readonly string[], others: readonly string[], run: string): readonly string[] {
  const out = files.filter((file) => others.includes(file));
  if (out.length > 0) process.stdout.write(`left to ${run}: ${out.join(", ")}\n`);
  return files.filter((file) => !others.includes(file));
}

/** The environment of tests that start the program as the scripts of the released file, in half the time of its sources. */
async function bundleProgram(folder: string): Promise<Readonly<Record<string, string>>> {
  // `doctor` recognizes the program by this name.
  const script = join(folder, "tlsboot.js");
  await rename(await writeBundle(await bundle(), folder), script);
  return { TLSBOOT_TEST_SCRIPT: script };
}

/** The environment of tests beside a real Kubernetes: servers run on Node, as the released file does. */
async function createPeerEnvironment(suite: string, isBinary: boolean): Promise<Readonly<Record<string, string>>> {
  return {
    ...(NEEDS_PEERS.includes(suite) ? { TLSBOOT_TEST_NODE: await ensureNode() } : {}),
    ...(isBinary ? { TLSBOOT_TEST_BINARY: await ensureReleasedFile("host", DIST) } : {}),
  };
}

/** Reports whether a file's tests try the released file too. */
function triesFile(file: string): boolean {
  return /^tests\/(?:e2e|security)\//.test(file) && imports(file, STARTS_TLSBOOT);
}

/** Reports whether a file of the tests imports a module of them, itself or through others; types do not count. */
function imports(file: string, module: string, seen = new Set<string>()): boolean {
  if (file === module) return true;
  if (seen.has(file) || !file.startsWith("tests/")) return false;
  seen.add(file);
  const imported = readFileSync(file, "utf8").matchAll(/^(?:im|ex)port (?!type )[^;]*? from "(\.[^"]+)"/gm);
  return [...imported].some(([, name = ""]) => imports(posix.join(posix.dirname(file), name), module, seen));
}

function deno(env: Readonly<Record<string, string>> = {}): Runtime {
  return {
    name: "Deno",
    command: process.execPath,
    env,
    args: async (files, report) => [
      ...["test", "--config=deno.json", "-A", "--no-check", "--quiet", `--junit-path=${report}`],
      ...(files.length === 1 ? files : [await writeEntry(files, `${report}.ts`)]),
    ],
  };
}

/** Writes a script that imports test files. Deno loads all modules anew for each file that it is given, and for this one once. */
async function writeEntry(files: readonly string[], path: string): Promise<string> {
  const imports = files.map((file) => `import ${JSON.stringify(pathToFileURL(join(ROOT, file)).href)};\n`);
  await writeFile(path, imports.join(""));
  return path;
}

function releasedFile(path: string): Runtime {
  return { ...deno({ TLSBOOT_TEST_BINARY: path }), name: "File" };
}

function node(command: string): Runtime {
  return {
    name: "Node",
    command,
    // Files with their types stripped and compiled: otherwise each process begins with half of its work.
    env: { NODE_COMPILE_CACHE: join(cacheDir(), "compiled-tests") },
    args: async (files, report) => [
      "--test",
      "--test-isolation=none",
      ...NODE_FLAGS,
      "--test-reporter=dot",
      "--test-reporter-destination=stdout",
      "--test-reporter=junit",
      `--test-reporter-destination=${report}`,
      ...files,
    ],
  };
}

/** Splits files into batches, ranked so that the ones that take longest start first. */
function planBatches(runtime: Runtime, files: readonly string[]): Batch[] {
  const batches: Batch[] = [];
  const units: string[] = [];
  for (const file of files) {
    const place = LONG.indexOf(file);
    if (place >= 0) batches.push({ rank: place, runtime, files: [file] });
    else if (SLOW.test(file)) batches.push({ rank: LONG.length, runtime, files: [file] });
    else units.push(file);
  }
  for (let at = 0; at < units.length; at += FILES_IN_A_BATCH) {
    batches.push({ rank: LONG.length + 1, runtime, files: units.slice(at, at + FILES_IN_A_BATCH) });
  }
  return batches;
}

/** Runs a command in a shell, which writes to the file in `$0` how much processor time it took. */
const TIMED = '"$@"; code=$?; times > "$0"; exit $code';

/** Adds up the user and system time of a shell's children, the second line of `times`: `1m2.5s 0m0.25s`. */
function parseCpuSeconds(times: string): number {
  const [, children = ""] = times.split("\n");
  const parts = [...children.matchAll(/(\d+)m([\d.]+)s/g)];
  if (parts.length !== 2) throw new Error(`the shell writes its times in another way: ${times}`);
  return parts.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
}

/** Runs all batches, `lanes` at a time, and prints a line for each that ends, or all its output if it failed. */
async function runBatches(batches: readonly Batch[], reports: string, lanes: number): Promise<readonly BatchResult[]> {
  const results: BatchResult[] = [];
  const waiting = batches.entries();
  const lane = async () => {
    for (const [index, batch] of waiting) {
      const report = join(reports, `${index}.xml`);
      const times = join(reports, `${index}.times`);
      const leftOut = join(reports, `${index}.left`);
      const start = performance.now();
      const { command, args, env } = batch.runtime;
      const { code, output } = await runAside(
        "/bin/sh",
        ["-c", TIMED, times, command, ...await args(batch.files, report)],
        { ...env, TEST_LEFT_OUT: leftOut },
      );
      const result = {
        ...batch,
        outcome: await readOutcome(report, code),
        seconds: (performance.now() - start) / 1000,
        cpuSeconds: parseCpuSeconds(await readFile(times, "utf8")),
      };
      results.push(result);
      if (result.outcome.failed > 0) process.stdout.write(output);
      process.stdout.write(await readFile(leftOut, "utf8").catch(() => ""));
      process.stdout.write(`${results.length}/${batches.length} ${formatResult(result)}\n`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return results;
}

/**
 * Runs the few batches that failed once more, one at a time, and prints what was wrong the first time with those that
 * pass then. Many that failed are no accident, and count as they are.
 */
async function runAgain(results: readonly BatchResult[], reports: string): Promise<readonly BatchResult[]> {
  const failed = results.filter(({ outcome }) => outcome.failed > 0);
  if (failed.length === 0 || failed.length > MOST_AGAIN) return results;
  process.stdout.write("What failed runs once more, alone.\n");
  const again = await runBatches(failed, await mkdtemp(join(reports, "again-")), 1);
  again.forEach(({ outcome }, index) => {
    const before = failed[index]?.outcome.failures ?? [];
    if (outcome.failed === 0) process.stdout.write(formatFailures(before, LINES_EACH, "UNSTEADY"));
  });
  return [...results.filter((result) => !failed.includes(result)), ...again];
}

function formatResult({ runtime, files, outcome: { passed, failed }, seconds, cpuSeconds }: BatchResult): string {
  const [first = ""] = files;
  const name = files.length === 1 ? first : `${first} and ${files.length - 1} more`;
  const times = `${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU`;
  return `${runtime.name} ${name}: ${passed} passed, ${failed} failed, ${times}`;
}

/** The batches that took longest and those that took most processor time, a line each, and the sum of all. */
function formatTimings(results: readonly BatchResult[]): string {
  const list = (by: "seconds" | "cpuSeconds") =>
    [...results].sort((a, b) => b[by] - a[by]).slice(0, 20).map((result) => `  ${formatResult(result)}\n`).join("");
  const sum = results.reduce((total, { cpuSeconds }) => total + cpuSeconds, 0);
  return `The slowest:\n${list("seconds")}With the most CPU of ${sum.toFixed(0)} s:\n${list("cpuSeconds")}`;
}

/** Returns the files of some patterns whose paths hold one of the filters, or all without filters. */
async function findFiles(patterns: readonly string[], filters: readonly string[]): Promise<readonly string[]> {
  const files: string[] = [];
  for (const pattern of patterns) for await (const file of glob(pattern)) files.push(file);
  return files.filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter))).sort();
}

main().then((code) => process.exit(code), (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
