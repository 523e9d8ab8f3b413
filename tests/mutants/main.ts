/**
 * `deno task mutants`: changes one operator at a time in the rooms that decide who gets in and what is kept, runs the tests
 * that import the changed file, and lists the changes that no test finds.
 *
 * Stryker is not used. It has no runner for `node:test`: its TAP runner starts a process for each mutant and test file and
 * knows what a file reaches, not what a test reaches, and its command runner starts all tests for each mutant. Both would
 * take hours here, and neither knows the `.tsx` files. This program loads the tests of a room once, with all mutants in the
 * changed files (`mutate.ts`), measures which mutants each test reaches, and runs only those tests for a mutant
 * (`worker.ts`, `room.ts`).
 */
import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { posix } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import ts from "typescript";
import { ensureNode } from "../../scripts/build/node_runtime.ts";
import { run } from "../../scripts/processes.ts";
import { NODE_FLAGS } from "../support/child.ts";
import { EQUIVALENT, type Equivalent } from "./equivalent.ts";
import { instrument, type Mutant } from "./mutate.ts";
import { type RoomOutcome, runRoom, type Survivor } from "./room.ts";

const HELP = `Changes the product one operator at a time and lists the changes that no test finds.

Usage: deno task mutants [--help] [WORD…]

With words, only files whose path contains one of them are changed. The exit code is 1 when a tenth or more of a
room's mutants survive, or when an entry of tests/mutants/equivalent.ts matches no survivor.
`;

interface Room {
  readonly name: string;
  /** The paths of its files. */
  readonly files: RegExp;
  /** The paths of tests that use it through other rooms; by default only those count that import it themselves. */
  readonly tests?: RegExp;
  /** True when only its own tests and the contracts count, because most tests of its part only need some of it. */
  readonly isFixture?: boolean;
  /** What the tests that count cannot show. */
  readonly uncounted?: string;
}

const ROOMS: readonly Room[] = [
  { name: "core/token tokens", files: /^core\/token\/(?:bound_token|bootstrap_token|token_)/ },
  { name: "core/service_accounts", files: /^core\/service_accounts\// },
  { name: "core/approval", files: /^core\/approval\//, tests: /^controllers\// },
  { name: "core/signing", files: /^core\/signing\//, tests: /^controllers\// },
  { name: "core/revocation", files: /^core\/revocation\// },
  { name: "core/pki", files: /^core\/pki\// },
  { name: "server/authn", files: /^server\/authn\//, tests: /^server\/registry\/token_requests_test/ },
  { name: "server/authz", files: /^server\/authz\// },
  { name: "server/admission", files: /^server\/admission\// },
  {
    name: "server/storage",
    files: /^server\/storage\//,
    isFixture: true,
    uncounted:
      "the locks of other processes and kill -9 (processes_test), and a real etcd (interop): etcd is simulated",
  },
];

/** The largest share of mutants of a room that may survive. */
const MOST_SURVIVORS = 0.1;

/** The tests that may be used for the two parts of the product that have rooms here; those of sockets are slow. */
const TESTS: Readonly<Record<string, RegExp>> = { core: /^core\//, server: /^server\/(?!connections\/)/ };

/** What the tests of a contract import, wherever they are. */
const CONTRACTS = /^tests\/contract\//;

/** Tests that import this are not quick. */
const STARTS_PROGRAMS = "node:child_process";

/** The files by path that each source of the tree imports, itself and in all. */
type Imports = ReadonlyMap<string, { readonly direct: readonly string[]; readonly all: ReadonlySet<string> }>;

async function main(): Promise<number> {
  const { values, positionals: words } = parseArgs({
    allowPositionals: true,
    options: { help: { type: "boolean", default: false } },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  // The workers are Node, whose modules can be changed while they load.
  if ("Deno" in globalThis) {
    return await run(await ensureNode(), [...NODE_FLAGS, fileURLToPath(import.meta.url), ...words]);
  }

  const imports = await readImports();
  let isGood = true;
  for (const room of ROOMS) {
    const all = [...imports.keys()].filter((file) => room.files.test(file) && !file.endsWith("_test.ts"));
    if (all.length === 0) throw new Error(`${room.name} has no files: they have moved`);
    const files = all.filter((file) => words.length === 0 || words.some((word) => file.includes(word)));
    if (files.length > 0) isGood = await measure(room, files, imports) && isGood;
  }
  return isGood ? 0 : 1;
}

/** Runs the mutants of some files of a room, and reports whether few enough survive. */
async function measure(room: Room, files: readonly string[], imports: Imports): Promise<boolean> {
  const start = performance.now();
  const mutants: Mutant[] = [];
  const changed: Record<string, string> = {};
  for (const file of files) {
    const instrumented = instrument(file, readFileSync(file, "utf8"), mutants.length);
    changed[file] = instrumented.text;
    mutants.push(...instrumented.mutants);
  }
  const importsFile = (test: string, file: string) => imports.get(test)?.all.has(file) === true;
  const testFiles = listTestFiles(imports, files, room);
  const outcome = await runRoom({ mutants, changed, testFiles, importsFile });
  return report(room, new Set(files), mutants.length, outcome, (performance.now() - start) / 1000);
}

/** Reads what every source of the tree imports. */
async function readImports(): Promise<Imports> {
  const direct = new Map<string, readonly string[]>();
  for await (const file of glob("{core,controllers,server,client,instance,ui,cli,scripts,tests}/**/*.{ts,tsx}")) {
    const { importedFiles } = ts.preProcessFile(readFileSync(file, "utf8"));
    const resolve = (name: string) => name.startsWith(".") ? posix.join(posix.dirname(file), name) : name;
    direct.set(file, importedFiles.map(({ fileName }) => resolve(fileName)));
  }
  const collect = (file: string, seen = new Set<string>()): ReadonlySet<string> => {
    for (const target of direct.get(file) ?? []) if (!seen.has(target)) collect(target, seen.add(target));
    return seen;
  };
  return new Map([...direct].sort().map(([file, targets]) => [file, { direct: targets, all: collect(file) }]));
}

/**
 * The quick test files that use changed files of a room: its own and those of contracts that import one, directly or not,
 * and others that do so directly.
 */
function listTestFiles(imports: Imports, files: readonly string[], room: Room): readonly string[] {
  const part = TESTS[files[0]!.split("/")[0]!]!;
  return [...imports].filter(([file, { direct, all }]) => {
    if (!file.endsWith("_test.ts") || all.has(STARTS_PROGRAMS)) return false;
    const isOwn = room.files.test(file) || room.tests?.test(file) === true || direct.some((one) => CONTRACTS.test(one));
    if (!isOwn && (room.isFixture === true || !part.test(file))) return false;
    return files.some((changed) => isOwn ? all.has(changed) : direct.includes(changed));
  }).map(([file]) => file);
}

/** Prints what became of a room's mutants, and reports whether that is good enough. */
function report(
  { name, uncounted }: Room,
  files: ReadonlySet<string>,
  count: number,
  { survivors, unusable, tests }: RoomOutcome,
  seconds: number,
): boolean {
  const { listed, open, unmatched } = sortSurvivors(survivors, EQUIVALENT.filter(({ file }) => files.has(file)));
  const share = count === 0 ? 0 : open.length / count;
  const lines = [
    `${name}: ${count} mutants, ${count - survivors.length} found, ${listed} equivalent, ${open.length} survived ` +
    `(${(share * 100).toFixed(1)} %); ${tests} tests, ${Math.round(seconds)} s`,
    ...(uncounted === undefined ? [] : [`  not counted: ${uncounted}`]),
    ...unusable.map((test) => `  UNUSABLE ${test.file}: ${test.name}: ${test.fault}`),
    ...open.map(({ file, line, original, mutated, isReached }) =>
      `  ${file}:${line}  ${original} → ${mutated}${isReached ? "" : "  (no test reaches it)"}`
    ),
    ...unmatched.map((entry) => `  equivalent.ts lists what did not survive: ${entry}`),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  return share < MOST_SURVIVORS && unmatched.length === 0;
}

/** Parts the survivors into equivalent ones and open ones, and finds the entries that match none. */
export function sortSurvivors(survivors: readonly Survivor[], equivalents: readonly Equivalent[]): {
  readonly listed: number;
  readonly open: readonly Survivor[];
  readonly unmatched: readonly string[];
} {
  const key = ({ file, original, mutated }: Survivor) => `${file}  ${original} → ${mutated}`;
  const entries = equivalents.flatMap(({ file, changes }) => changes.map((change) => `${file}  ${change}`));
  const open = survivors.filter((survivor) => !entries.includes(key(survivor)));
  const keys = new Set(survivors.map(key));
  return { listed: survivors.length - open.length, open, unmatched: entries.filter((entry) => !keys.has(entry)) };
}

if (import.meta.main) process.exitCode = await main();
