/** A foreign project that depends on the packed library: what npm installs, and the programs over it. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT, succeedProgram } from "../child.ts";

/** The entries of the library, with the file of the checkout and its list of exported names. */
export const ENTRIES = [
  { specifier: "@tlsboot/tlsboot", source: "mod.ts", names: "all" },
  { specifier: "@tlsboot/tlsboot/core", source: "core/mod.ts", names: "core" },
  { specifier: "@tlsboot/tlsboot/controllers", source: "controllers/mod.ts", names: "controllers" },
  { specifier: "@tlsboot/tlsboot/client", source: "client/mod.ts", names: "client" },
  { specifier: "@tlsboot/tlsboot/server", source: "server/mod.ts", names: "server" },
  { specifier: "@tlsboot/tlsboot/cli", source: "cli/mod.ts", names: "cli" },
] as const;

export type Entry = (typeof ENTRIES)[number];

/** The programs of docs/examples that run to their end by themselves. */
const EXAMPLES: readonly string[] = ["sign_without_a_server.ts", "bootstrap_a_machine.ts"];

/** Creates the project and installs the package into it with npm. */
export async function installInto(folder: string, tarball: string): Promise<void> {
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
  const options = ["--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts", "--prefer-offline"];
  await succeedProgram("npm", ["install", ...options, tarball], { cwd: folder });
}

/** Writes the example at the top of each entry as a program, and one that uses every exported name; answers their names. */
export async function writePrograms(folder: string): Promise<readonly string[]> {
  const programs: string[] = [];
  for (const entry of ENTRIES) {
    const example = findExample(await readFile(join(ROOT, entry.source), "utf8"));
    const names = await readFile(join(ROOT, "tests", "golden", "public_api", `${entry.names}.txt`), "utf8");
    for (const [kind, text] of [["example", example], ["names", namesProgram(entry, names)]] as const) {
      programs.push(`${kind}_${entry.names}.ts`);
      await writeFile(join(folder, programs.at(-1)!), text);
    }
  }
  for (const name of EXAMPLES) {
    programs.push(name);
    await writeFile(join(folder, name), await readFile(join(ROOT, "docs", "examples", name), "utf8"));
  }
  return programs;
}

/** The first example in the page that a `mod.ts` opens with. */
function findExample(source: string): string {
  const [, block] = source.match(/^ \* ```ts\n([^]*?)^ \* ```$/m) ?? [];
  assert.ok(block !== undefined, "the entry has no example");
  return block.replaceAll(/^ \* ?/gm, "");
}

/** Imports every value and every type by its name, and asks whether the values are there and no others. */
function namesProgram({ specifier }: Entry, listed: string): string {
  const lines = listed.trim().split("\n");
  const values = lines.filter((line) => !line.startsWith("type "));
  return [
    'import assert from "node:assert/strict";',
    `import * as entry from "${specifier}";`,
    `export type { ${lines.filter((line) => line.startsWith("type ")).map((line) => line.slice(5)).join(", ")} }`,
    `  from "${specifier}";`,
    `assert.deepEqual(Object.keys(entry).sort(), ${JSON.stringify(values.sort())});`,
    ...values.map((name) => `assert.notEqual(entry.${name}, undefined);`),
    "",
  ].join("\n");
}
