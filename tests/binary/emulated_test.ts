/** The arm64 file under an emulator of its processor (Debian's qemu-user-static, with arm64's libraries). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { start } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";
import { releasedFile } from "../support/binary/released.ts";

const LIBRARIES = "/usr/aarch64-linux-gnu";

test("the linux-arm64 file starts a server", async () => {
  await using folder = await createTempFolder();
  const up = ["up", "--secure-port", "0", "--data-dir", folder.join("data")];
  await using server = start("qemu-aarch64-static", ["-L", LIBRARIES, releasedFile("linux-arm64"), ...up]);
  await server.waitFor(/tlsboot is up at https:/);
  server.kill("SIGTERM");
  const { code, stderr } = await server.finished();
  assert.equal(code, 0, stderr);
});
