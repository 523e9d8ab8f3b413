/**
 * Checks the documents in the program with other tools: manual pages with groff and mandoc, the bill of materials with
 * CycloneDX's schema.
 */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { ensureDebianPackages } from "../support/peers/debian.ts";
import { runProgram, spawnTlsbootToEnd, succeedTlsboot } from "../support/child.ts";
import { createSbomChecker } from "../support/packages/sbom_checker.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

let folder: TempFolder;
let pages: readonly string[];

describe("documents in the program", () => {
  before(async () => {
    folder = await createTempFolder();
    await ensureDebianPackages(["groff-base", "mandoc"]);
    await succeedTlsboot(["man", folder.join("man")]);
    pages = (await readdir(folder.join("man"))).map((name) => folder.join("man", name));
  });
  after(() => folder[Symbol.asyncDispose]());

  test("groff reports no warning for any manual page", async () => {
    for (const page of pages) {
      const result = await runProgram("groff", ["-man", "-Tutf8", "-ww", "-z", page]);
      assert.deepEqual(result, { code: 0, stdout: "", stderr: "" }, page);
    }
  });

  test("mandoc warns only of the missing date, which only the released file knows", async () => {
    const { stdout } = await runProgram("mandoc", ["-Tlint", "-Wwarning", ...pages]);
    assert.deepEqual(stdout.split("\n").filter((line) => line !== "" && !line.includes("missing date")), []);
  });

  test("CycloneDX's schema accepts the bill of materials", async () => {
    const check = await createSbomChecker(folder.join("checker"));
    const { stdout: sbom } = await spawnTlsbootToEnd(["version", "--sbom"]);
    assert.equal(await check(sbom), "");
    // The schema refuses an unknown licence.
    assert.match(await check(sbom.replace('"MIT"', '"MITT"')), /^\/components\/0\/licenses/m);
  });
});
