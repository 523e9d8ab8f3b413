/** Builds are reproducible: a commit gives the same file in any folder and environment. */
import assert from "node:assert/strict";
import type { Buffer } from "node:buffer";
import { cp, mkdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { readBuildFacts } from "../../scripts/build/facts.ts";
import { ROOT, runProgram } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";

const NAME = `tlsboot-${TLSBOOT_VERSION}-linux-${process.arch}`;

/** The folders and files that a build reads. */
const INPUTS = [
  ...["cli", "client", "controllers", "core", "instance", "server", "ui", "scripts", "tests/support"],
  ...["deno.json", "deno.lock", "mod.ts", "node_modules"],
];

/** Copies the sources and the packages that a build reads into a folder. */
async function copyBuildInputs(folder: string): Promise<void> {
  for (const name of INPUTS) {
    await cp(join(process.cwd(), name), join(folder, name), {
      recursive: true,
      verbatimSymlinks: true,
      // Deno creates and removes lock files in the folder of packages.
      filter: (path) => !basename(path).startsWith(".deno.lock"),
    });
  }
}

test("a second build in another folder and environment equals the released file byte for byte", async () => {
  await using folder = await createTempFolder();
  const checkout = folder.join("a", "checkout", "elsewhere");
  await mkdir(folder.join("temporary"));
  await copyBuildInputs(checkout);
  const { commit, date } = readBuildFacts(ROOT);
  const version = await runProgram(join(ROOT, "dist", NAME), ["version", "-o", "json"]);
  assert.equal(JSON.parse(version.stdout).commit, commit, "dist is of another commit: run deno task build first");
  const { code, stderr } = await runProgram(process.execPath, ["run", "-A", "--no-check", "scripts/build.ts"], {
    cwd: checkout,
    env: {
      TLSBOOT_BUILD_COMMIT: commit,
      SOURCE_DATE_EPOCH: String(Date.parse(date) / 1000),
      TMPDIR: folder.join("temporary"),
      TZ: "Asia/Kolkata",
      TLSBOOT_SERVER: "https://127.0.0.1:1",
      KUBECONFIG: folder.join("none"),
    },
  });
  assert.equal(code, 0, stderr);
  const [released, rebuilt] = await Promise.all(
    [ROOT, checkout].map((root) => readFile(join(root, "dist", NAME))),
  ) as [Buffer, Buffer];
  assert.ok(released.equals(rebuilt), `the two builds of ${commit} differ`);
  // Paths differ between machines.
  for (const path of [folder.path, ROOT, "/tlsboot-build-"]) assert.ok(!rebuilt.includes(path), `it has "${path}"`);
});
