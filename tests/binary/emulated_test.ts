/** The arm64 file under an emulator of its processor (Debian's qemu-user-static, with arm64's libraries). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runProgram } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";
import { releasedFile } from "../support/binary/released.ts";

const LIBRARIES = "/usr/aarch64-linux-gnu";

function emulate(args: readonly string[]): ReturnType<typeof runProgram> {
  return runProgram("qemu-aarch64-static", ["-L", LIBRARIES, releasedFile("linux-arm64"), ...args]);
}

test("the linux-arm64 file starts and prints its version", async () => {
  const { code, stdout, stderr } = await emulate(["version", "-o", "json"]);
  assert.equal(code, 0, stderr);
  assert.equal(JSON.parse(stdout).kubernetesVersion, "v1.37.2");
});

test("the linux-arm64 file runs the demo", async () => {
  await using folder = await createTempFolder();
  const { code, stdout, stderr } = await emulate(["demo", "--nodes", "1", "--data-dir", folder.join("demo")]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /Everything is in /);
});
