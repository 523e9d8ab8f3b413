/** The npm package of the library, installed by npm into a project of somebody else. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { ensureNode } from "../../scripts/node_runtime.ts";
import { ROOT, runProgram } from "../support/child.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { installInto, writePrograms } from "./support/consumer.ts";

const manifest = JSON.parse(readFileSync("deno.json", "utf8"));
const TARBALL = `tlsboot-tlsboot-${manifest.version}.tgz`;

let folder: TempFolder;
let programs: readonly string[] = [];

before(async () => {
  folder = await createTempFolder();
  await pack("first");
  await installInto(folder.path, folder.join("first", TARBALL));
  programs = await writePrograms(folder.path);
});
after(() => folder[Symbol.asyncDispose]());

async function pack(name: string): Promise<void> {
  const { code, stderr } = await runProgram(process.execPath, [
    "run",
    "-A",
    "scripts/pack.ts",
    "--out",
    folder.join(name),
  ]);
  assert.equal(code, 0, stderr);
}

test("the package is the same bytes each time", async () => {
  await pack("second");
  assert.deepEqual(await readFile(folder.join("second", TARBALL)), await readFile(folder.join("first", TARBALL)));
});

test("the package depends on what it imports, by the versions of deno.json", async () => {
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

test("the package holds JavaScript and declarations, and no TypeScript", async () => {
  const { stdout } = await runProgram("tar", ["-tzf", folder.join("first", TARBALL)]);
  const files = stdout.trim().split("\n");
  assert.deepEqual(files.filter((file) => /(?<!\.d)\.ts$|_test\.|testdata/.test(file)), []);
  for (const file of ["LICENSE", "README.md", "mod.js", "mod.d.ts", "cli/main.js"]) {
    assert.ok(files.includes(`package/${file}`), file);
  }
});

test("on Node 24 every entry exports its names, and its example runs", async () => {
  const node = await ensureNode();
  for (const program of programs) {
    const { code, stderr } = await runProgram(node, ["--disable-warning=ExperimentalWarning", program], {
      cwd: folder.path,
    });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" }, program);
  }
});

test("on Deno every entry exports its names, and its example runs", async () => {
  for (const program of programs) {
    const args = ["run", "-A", "--no-check", "--node-modules-dir=manual", program];
    const { code, stderr } = await runProgram(process.execPath, args, { cwd: folder.path });
    assert.equal(code, 0, `${program}: ${stderr}`);
  }
});

test("TypeScript finds every type, of the names and of the examples, without skipping declarations", async () => {
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

test("deno check finds every type too", async () => {
  const args = ["check", "--node-modules-dir=manual", ...programs];
  const { code, stderr } = await runProgram(process.execPath, args, { cwd: folder.path });
  assert.equal(code, 0, stderr);
});

test("the package brings the program", async () => {
  const PATH = `${join(await ensureNode(), "..")}:${process.env["PATH"]}`;
  const program = folder.join("node_modules", ".bin", "tlsboot");
  const options = { cwd: folder.path, env: { PATH } };
  const version = await runProgram(program, ["version", "-o", "json"], options);
  assert.deepEqual({ code: version.code, stderr: version.stderr }, { code: 0, stderr: "" });
  const facts = JSON.parse(version.stdout);
  assert.equal(facts.version, manifest.version);
  assert.equal(facts.runtime.name, "Node");
  const head = await runProgram("git", ["-C", ROOT, "rev-parse", "HEAD"]);
  // Outside of a checkout nobody knows.
  const commit = head.code === 0 ? head.stdout.trim() : "unknown";
  assert.equal(facts.commit.replace(/-modified$/, ""), commit);
  const demo = await runProgram(program, ["demo", "--nodes", "1"], options);
  assert.equal(demo.code, 0, demo.stderr);
});
