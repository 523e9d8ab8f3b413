/** A release is checked by building it again: one commit gives the same file in any folder and environment. */
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { readBuildFacts } from "../../scripts/build/facts.ts";
import { copyBuildInputs } from "../support/checkout.ts";
import { ROOT, runProgram } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";

test("a second build in another folder and another environment is the released file, byte for byte", async () => {
  await using folder = await createTempFolder();
  const checkout = folder.join("a", "checkout", "elsewhere");
  await mkdir(folder.join("temporary"));
  await copyBuildInputs(checkout);
  const { commit, date } = readBuildFacts(ROOT);
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
  const name = `tlsboot-${TLSBOOT_VERSION}-linux-${process.arch}`;
  const [released, rebuilt] = await Promise.all([ROOT, checkout].map((root) => readFile(join(root, "dist", name))));
  assert.ok(released!.equals(rebuilt!), `the two builds of ${commit} differ`);
  // A path of the builder would be a difference on the next machine.
  for (const path of [folder.path, ROOT, "/tlsboot-build-"]) assert.ok(!rebuilt!.includes(path), `it has "${path}"`);
});
