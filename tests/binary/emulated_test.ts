/** The arm64 file under an emulator of its processor (Debian's qemu-user-static, with arm64's libraries). The tests take turns. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { takeTurns } from "../runner/turns.ts";
import { runProgram } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";
import { releasedFile } from "../support/binary/released.ts";

const LIBRARIES = "/usr/aarch64-linux-gnu";

function emulate(args: readonly string[]): ReturnType<typeof runProgram> {
  return runProgram("qemu-aarch64-static", ["-L", LIBRARIES, releasedFile("linux-arm64"), ...args]);
}

for (
  const { name, args, want } of takeTurns([
    {
      name: "starts and prints its version",
      args: () => ["version", "-o", "json"],
      want: /"kubernetesVersion": "v1\.37\.2"/,
    },
    {
      name: "runs the demo",
      args: (dataDir: string) => ["demo", "--nodes", "1", "--data-dir", dataDir],
      want: /Everything is in /,
    },
  ], ({ name }) => `the linux-arm64 file ${name}`)
) {
  test(`the linux-arm64 file ${name}`, async () => {
    await using folder = await createTempFolder();
    const { code, stdout, stderr } = await emulate(args(folder.join("demo")));
    assert.equal(code, 0, stderr);
    assert.match(stdout, want);
  });
}
