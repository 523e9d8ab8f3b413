/**
 * Judges the documents in the program with other tools: manual pages with groff and mandoc, the bill of materials with
 * CycloneDX's schema.
 */
import assert from "node:assert/strict";
import { cp, readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ensureDebianPackages } from "../support/peers/debian.ts";
import { ensureNode } from "../../scripts/build/node_runtime.ts";
import { ROOT, runProgram, runTlsboot } from "../support/child.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

let folder: TempFolder;
let pages: readonly string[];

before(async () => {
  await ensureDebianPackages(["groff-base", "mandoc"]);
  folder = await createTempFolder();
  const { code, stderr } = await runTlsboot(["docs", "man", folder.join("man")]);
  assert.equal(code, 0, stderr);
  pages = (await readdir(folder.join("man"))).map((name) => folder.join("man", name));
});
after(() => folder[Symbol.asyncDispose]());

test("groff has no warning about any manual page", async () => {
  for (const page of pages) {
    const judged = await runProgram("groff", ["-man", "-Tutf8", "-ww", "-z", page]);
    assert.deepEqual(judged, { code: 0, stdout: "", stderr: "" }, page);
  }
});

test("mandoc has no warning about any manual page but for the date, which only the released file knows", async () => {
  const { stdout } = await runProgram("mandoc", ["-Tlint", "-Wwarning", ...pages]);
  assert.deepEqual(stdout.split("\n").filter((line) => line !== "" && !line.includes("missing date")), []);
});

test("CycloneDX's schema accepts the bill of materials", async () => {
  const judge = folder.join("judge");
  await cp(join(ROOT, "tests", "packages", "judges", "sbom"), judge, { recursive: true });
  const options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefer-offline"];
  const installed = await runProgram("npm", ["ci", ...options], { cwd: judge });
  assert.equal(installed.code, 0, installed.stderr);
  const { stdout: sbom } = await runTlsboot(["version", "--sbom"]);
  const verdict = async (stdin: string) =>
    (await runProgram(await ensureNode(), ["judge.mjs"], { cwd: judge, stdin })).stdout;
  assert.equal(await verdict(sbom), "");
  // The judge does judge.
  assert.match(await verdict(sbom.replace('"MIT"', '"MITT"')), /^\/components\/0\/licenses/m);
});
