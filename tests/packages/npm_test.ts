/** The npm package of the library, installed by npm into another project. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { ensureNode, hostPlatform } from "../../scripts/build/node_runtime.ts";
import { ROOT, runProgram, start, succeedProgram } from "../support/child.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

/** The entry points of the library, with their source files and lists of exported names. */
const ENTRIES = [
  { specifier: "@tlsboot/tlsboot", source: "mod.ts", names: "all" },
  { specifier: "@tlsboot/tlsboot/core", source: "core/mod.ts", names: "core" },
  { specifier: "@tlsboot/tlsboot/controllers", source: "controllers/mod.ts", names: "controllers" },
  { specifier: "@tlsboot/tlsboot/client", source: "client/mod.ts", names: "client" },
  { specifier: "@tlsboot/tlsboot/server", source: "server/mod.ts", names: "server" },
  { specifier: "@tlsboot/tlsboot/cli", source: "cli/mod.ts", names: "cli" },
] as const;

type Entry = (typeof ENTRIES)[number];

/** The programs of docs/examples that end by themselves. */
const EXAMPLES: readonly string[] = ["sign_without_a_server.ts", "bootstrap_a_machine.ts"];

/** Creates the project and installs the package into it with npm. */
async function installInto(folder: string, tarball: string): Promise<void> {
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
  const options = ["--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts", "--prefer-offline"];
  await succeedProgram("npm", ["install", ...options, tarball], { cwd: folder });
}

/** Writes programs of the entries' examples, of all exported names, and of docs/examples. Returns their file names. */
async function writePrograms(folder: string): Promise<readonly string[]> {
  const programs: string[] = [];
  for (const entry of ENTRIES) {
    const example = findExample(await readFile(join(ROOT, entry.source), "utf8"));
    const names = await readFile(join(ROOT, "tests", "golden", "public_api", `${entry.names}.txt`), "utf8");
    for (const [kind, text] of [["example", example], ["names", formatNamesProgram(entry, names)]] as const) {
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

/** Returns the first example in the header of a `mod.ts`. */
function findExample(source: string): string {
  const [, block] = source.match(/^ \* ```ts\n([^]*?)^ \* ```$/m) ?? [];
  assert.ok(block !== undefined, "the entry has no example");
  return block.replaceAll(/^ \* ?/gm, "");
}

/** Formats a program that imports every value and type by name, and asserts that there are no other values. */
function formatNamesProgram({ specifier }: Entry, listed: string): string {
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

const manifest = JSON.parse(readFileSync("deno.json", "utf8"));
const TARBALL = `tlsboot-tlsboot-${manifest.version}.tgz`;

let folder: TempFolder;
let programs: readonly string[] = [];

async function pack(name: string): Promise<void> {
  await succeedProgram(process.execPath, ["run", "-A", "scripts/package/npm.ts", "--out", folder.join(name)]);
}

/** The last release of Node 20, which is still widely installed. */
const OLD_NODE = "20.20.2";

describe("the npm package", () => {
  before(async () => {
    folder = await createTempFolder();
    await pack("first");
    await installInto(folder.path, folder.join("first", TARBALL));
    programs = await writePrograms(folder.path);
  });
  after(() => folder[Symbol.asyncDispose]());

  test("packaging twice gives the same bytes", async () => {
    await pack("second");
    assert.deepEqual(await readFile(folder.join("second", TARBALL)), await readFile(folder.join("first", TARBALL)));
  });

  test("the package depends on its imports, with the versions of deno.json", async () => {
    const { dependencies, exports, version } = JSON.parse(
      await readFile(folder.join("node_modules", "@tlsboot", "tlsboot", "package.json"), "utf8"),
    );
    assert.equal(version, manifest.version);
    assert.deepEqual(Object.keys(exports), [...Object.keys(manifest.exports), "./package.json"]);
    for (const [name, range] of Object.entries(dependencies)) {
      assert.equal(manifest.imports[name], `npm:${name}@${range}`);
    }
    assert.ok("hono" in dependencies && !("fast-check" in dependencies) && !("typescript" in dependencies));
  });

  test("the package contains JavaScript and declarations, but no TypeScript sources", async () => {
    const { stdout } = await runProgram("tar", ["-tzf", folder.join("first", TARBALL)]);
    const files = stdout.trim().split("\n");
    assert.deepEqual(files.filter((file) => /(?<!\.d)\.ts$|_test\.|testdata/.test(file)), []);
    for (const file of ["LICENSE", "NOTICE", "README.md", "mod.js", "mod.d.ts", "cli/main.js"]) {
      assert.ok(files.includes(`package/${file}`), file);
    }
  });

  test("on Node 24 every entry exports its names, and its example runs", async () => {
    const node = await ensureNode();
    for (const program of programs) {
      const args = ["--disable-warning=ExperimentalWarning", program];
      const { code, stderr } = await runProgram(node, args, { cwd: folder.path, env: { TMPDIR: folder.path } });
      assert.deepEqual({ code, stderr }, { code: 0, stderr: "" }, program);
    }
  });

  test("on an older Node, every entry and the program report the required version in one sentence", async () => {
    const node = await ensureNode(hostPlatform(), OLD_NODE);
    const sentence = `tlsboot needs Node 24 or newer, and this is Node ${OLD_NODE}`;
    for (const { specifier } of ENTRIES) {
      await writeFile(folder.join("old.mjs"), `import * as entry from "${specifier}";\nconsole.log(entry);\n`);
      const { code, stdout, stderr } = await runProgram(node, ["old.mjs"], { cwd: folder.path });
      assert.deepEqual([code, stdout], [1, ""], specifier);
      assert.deepEqual(stderr.match(/^\w*Error: .*/gm), [`Error: ${sentence}`], specifier);
    }
    const program = folder.join("node_modules", ".bin", "tlsboot");
    const options = { cwd: folder.path, env: { PATH: `${join(node, "..")}:${process.env["PATH"]}` } };
    for (const args of [["version"], ["demo"]]) {
      const { code, stdout, stderr } = await runProgram(program, args, options);
      assert.deepEqual({ code, stdout, stderr }, { code: 1, stdout: "", stderr: `tlsboot: error: ${sentence}\n` });
    }
  });

  test("require() of every entry returns its names", async () => {
    const node = await ensureNode();
    for (const { specifier } of ENTRIES) {
      const text = `import("${specifier}").then((module) => {
      const required = Object.keys(require("${specifier}"));
      console.log(JSON.stringify(required) === JSON.stringify(Object.keys(module)), required.length > 5);
    })`;
      const { stdout, stderr } = await runProgram(node, ["--disable-warning=ExperimentalWarning", "-e", text], {
        cwd: folder.path,
      });
      assert.deepEqual({ stdout, stderr }, { stdout: "true true\n", stderr: "" }, specifier);
    }
  });

  test("the npx command in the package's README runs an installed program, and downloads nothing elsewhere", async () => {
    const [, line = ""] = /`(npx .*? tlsboot) --help`/.exec(
      await readFile(folder.join("node_modules", "@tlsboot", "tlsboot", "README.md"), "utf8"),
    ) ?? [];
    assert.equal(line, "npx --no tlsboot");
    const [program = "", ...args] = line.split(" ");
    const env = { PATH: `${join(await ensureNode(), "..")}:${process.env["PATH"]}` };
    const here = await runProgram(program, [...args, "version"], { cwd: folder.path, env });
    assert.deepEqual([here.code, here.stdout.split("\n")[0]], [0, `tlsboot version: ${manifest.version}`], here.stderr);
    await using elsewhere = await createTempFolder();
    const there = await runProgram(program, [...args, "version"], { cwd: elsewhere.path, env });
    assert.deepEqual([there.code, there.stdout], [1, ""]);
  });

  test("on Deno every entry exports its names, and its example runs", async () => {
    for (const program of programs) {
      const args = ["run", "-A", "--no-check", "--node-modules-dir=manual", program];
      await succeedProgram(process.execPath, args, { cwd: folder.path, env: { TMPDIR: folder.path } });
    }
  });

  test("TypeScript finds no error in the names, the examples and the package's declarations", async () => {
    await writeFile(
      folder.join("tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          exactOptionalPropertyTypes: true,
          noEmit: true,
          target: "ESNext",
          module: "NodeNext",
          types: ["node"],
          lib: ["ESNext", "DOM"],
        },
        files: programs,
      }),
    );
    const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
    const { code, stdout } = await runProgram(await ensureNode(), [compiler, "-p", "."], { cwd: folder.path });
    assert.deepEqual({ code, stdout }, { code: 0, stdout: "" });
  });

  test("deno check finds no error either", async () => {
    const args = ["check", "--node-modules-dir=manual", ...programs];
    await succeedProgram(process.execPath, args, { cwd: folder.path });
  });

  test("the package installs the program, also as a kubectl plugin", async () => {
    const PATH = `${join(await ensureNode(), "..")}:${process.env["PATH"]}`;
    const program = folder.join("node_modules", ".bin", "tlsboot");
    const options = { cwd: folder.path, env: { PATH } };
    const version = await runProgram(program, ["version", "-o", "json"], options);
    assert.deepEqual({ code: version.code, stderr: version.stderr }, { code: 0, stderr: "" });
    const facts = JSON.parse(version.stdout);
    assert.equal(facts.version, manifest.version);
    assert.equal(facts.runtime.name, "Node");
    const head = await runProgram("git", ["-C", ROOT, "rev-parse", "HEAD"]);
    // Outside a checkout the commit is unknown.
    const commit = head.code === 0 ? head.stdout.trim() : "unknown";
    assert.equal(facts.commit.replace(/-modified$/, ""), commit);
    const plugin = await runProgram(folder.join("node_modules", ".bin", "kubectl-tlsboot"), ["version"], options);
    assert.deepEqual([plugin.code, plugin.stderr], [0, ""]);
    await using server = start(program, ["up", "--secure-port", "0", "--data-dir", "instance"], options);
    await server.waitFor(/tlsboot is up at https:/);
  });
});
