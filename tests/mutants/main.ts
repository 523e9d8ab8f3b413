/**
 * `deno task mutants [WORDS]`: changes one operator at a time in the rooms that control access and storage, runs the
 * tests that import the changed file, and lists the changes that no test finds. Changes that the compiler refuses do not
 * count. With words, only files whose path contains one of them are changed. The exit code is 1 if a tenth or more of a
 * room's mutants survive, or if an entry of `equivalent.ts` matches no survivor.
 *
 * All mutants of a file are compiled into its source (`mutate.ts`). For each mutant, only the tests that reach it run,
 * the fastest first (`room.ts`, `worker.ts`). Stryker records what a test file reaches, but not what a test reaches,
 * and would take hours.
 */
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { posix } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { ensureNode } from "../../scripts/build/node_runtime.ts";
import { run } from "../../scripts/processes.ts";
import { NODE_FLAGS } from "../support/child.ts";
import { parseFlags, runMain } from "../support/command_line.ts";
import { readSources } from "../support/sources.ts";
import { createTypeCheck } from "../support/type_check.ts";
import { EQUIVALENT, type Equivalent } from "./equivalent.ts";
import { instrument, type Mutant } from "./mutate.ts";
import { runRoom } from "./room.ts";

interface Room {
  readonly name: string;
  /** The paths of its files. */
  readonly files: RegExp;
  /** The paths of tests that use it through other rooms; by default only tests that import it directly count. */
  readonly tests?: RegExp;
  /** Whether only its own tests and the contracts count, because most other tests use it only as a fixture. */
  readonly isFixture?: boolean;
}

const ROOMS: readonly Room[] = [
  { name: "core/token", files: /^core\/token\// },
  { name: "core/service_accounts", files: /^core\/service_accounts\// },
  { name: "core/approval", files: /^core\/approval\//, tests: /^controllers\// },
  { name: "core/signing", files: /^core\/signing\//, tests: /^controllers\// },
  { name: "core/revocation", files: /^core\/revocation\// },
  { name: "core/pki", files: /^core\/pki\// },
  {
    name: "server/revocation",
    files: /^server\/revocation\//,
    tests: /^instance\/parts\/(?:crl_files|revocation)_test/,
  },
  { name: "server/authn", files: /^server\/authn\//, tests: /^server\/registry\/token_requests_test/ },
  { name: "server/authz", files: /^server\/authz\// },
  { name: "server/admission", files: /^server\/admission\// },
  // Locks of other processes, kill -9 (processes_test) and a real etcd (interop) are not covered; etcd is simulated.
  { name: "server/storage", files: /^server\/storage\//, isFixture: true },
];

/** The largest share of mutants of a room that may survive. */
const MAX_SURVIVING_SHARE = 0.1;

/** The files that each source loads, directly and through others, by path. */
type Imports = ReadonlyMap<string, { readonly direct: readonly string[]; readonly all: ReadonlySet<string> }>;

async function main(): Promise<number> {
  const { positionals: words } = parseFlags({ allowPositionals: true });
  // The workers run on Node, which can change modules while they load.
  if ("Deno" in globalThis) {
    return await run(await ensureNode(), [...NODE_FLAGS, fileURLToPath(import.meta.url), ...words]);
  }
  const imports = readImports();
  let isPassed = true;
  for (const room of ROOMS) {
    const all = [...imports.keys()].filter((file) => room.files.test(file) && !file.endsWith("_test.ts"));
    if (all.length === 0) throw new Error(`${room.name} has no files: they have moved`);
    const files = all.filter((file) => words.length === 0 || words.some((word) => file.includes(word)));
    if (files.length > 0) isPassed = await measure(room, files, imports) && isPassed;
  }
  return isPassed ? 0 : 1;
}

/** Runs the mutants of some files of a room, prints the results, and reports whether few enough survive. */
async function measure(room: Room, files: readonly string[], imports: Imports): Promise<boolean> {
  const all: Mutant[] = [];
  const changed: Record<string, string> = {};
  for (const file of files) {
    const instrumented = instrument(file, readFileSync(file, "utf8"), all.length);
    changed[file] = stripTypeScriptTypes(instrumented.text);
    all.push(...instrumented.mutants);
  }
  const checkTypes = createTypeCheck(process.cwd());
  const mutants = all.filter(({ file, source }) => checkTypes(new Map([[file, source]])).length === 0);
  const { survivors, tests } = await runRoom(mutants, changed, listTestFiles(imports, files, room));
  const { surviving, unmatched } = sortSurvivors(survivors, EQUIVALENT.filter(({ file }) => files.includes(file)));
  const usable = tests.filter(({ fault }) => fault === undefined);
  const share = surviving.length / Math.max(1, mutants.length);
  const found = `${mutants.length} mutants, ${mutants.length - survivors.length} found by ${usable.length} tests`;
  const refused = `${all.length - mutants.length} refused by the compiler`;
  const survived = `${surviving.length} survived (${(share * 100).toFixed(1)} %)`;
  const isReached = (id: number) => usable.some(({ reached }) => reached.has(id));
  const lines = [
    `${room.name}: ${found}, ${survivors.length - surviving.length} equivalent, ${survived}; ${refused}`,
    ...tests.filter(({ fault }) => fault !== undefined)
      .map(({ file, name, fault }) => `  UNUSABLE ${file}: ${name}: ${fault}`),
    ...surviving.map(({ id, file, line, original, mutated }) =>
      `  ${file}:${line}  ${original} → ${mutated}${isReached(id) ? "" : "  (no test reaches it)"}`
    ),
    ...unmatched.map((entry) => `  equivalent.ts has an entry without a survivor: ${entry}`),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  return share < MAX_SURVIVING_SHARE && unmatched.length === 0;
}

function readImports(): Imports {
  const sources = readSources(["{core,controllers,server,client,instance,ui,cli,scripts,tests}/**/*.{ts,tsx}"]);
  const direct = new Map(sources.map(({ path, text }) => {
    // An import of types alone loads nothing.
    const code = path.endsWith(".tsx") ? text : stripTypeScriptTypes(text);
    const names = ts.preProcessFile(code).importedFiles.map(({ fileName }) => fileName);
    return [path, names.map((name) => name.startsWith(".") ? posix.join(posix.dirname(path), name) : name)];
  }));
  const collect = (file: string, seen = new Set<string>()): ReadonlySet<string> => {
    for (const target of direct.get(file) ?? []) if (!seen.has(target)) collect(target, seen.add(target));
    return seen;
  };
  return new Map([...direct].sort().map(([file, targets]) => [file, { direct: targets, all: collect(file) }]));
}

/**
 * Lists the fast test files that use changed files of a room: those of the room and of contracts, with direct or
 * indirect imports, and others in its top-level folder with direct imports.
 */
function listTestFiles(imports: Imports, files: readonly string[], room: Room): readonly string[] {
  const folder = /^\w+\//.exec(room.name)![0];
  return [...imports].filter(([file, { direct, all }]) => {
    const isQuick = !all.has("node:child_process") && !file.startsWith("server/connections/");
    if (!isQuick || !file.endsWith("_test.ts")) return false;
    const isOfContract = direct.some((imported) => imported.startsWith("tests/contract/"));
    const isOwn = isOfContract || room.files.test(file) || room.tests?.test(file) === true;
    const isOther = room.isFixture !== true && file.startsWith(folder);
    return files.some((changed) => isOwn ? all.has(changed) : isOther && direct.includes(changed));
  }).map(([file]) => file);
}

/** Finds the survivors that are not equivalent, and the entries that match none. */
export function sortSurvivors(survivors: readonly Mutant[], equivalents: readonly Equivalent[]): {
  readonly surviving: readonly Mutant[];
  readonly unmatched: readonly string[];
} {
  const key = ({ file, original, mutated }: Mutant) => `${file}  ${original} → ${mutated}`;
  const entries = equivalents.flatMap(({ file, changes }) => changes.map((change) => `${file}  ${change}`));
  return {
    surviving: survivors.filter((mutant) => !entries.includes(key(mutant))),
    unmatched: entries.filter((entry) => !survivors.some((mutant) => key(mutant) === entry)),
  };
}

if (import.meta.main) runMain("mutants", main);
