/** kill -9 in the middle of switching pairs, on a real disk. */
import assert from "node:assert/strict";
import { mkdir, readdir, watch } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { openCredentialStore } from "../../client/certificate/credential_store.ts";
import { createFilePort } from "../../client/files.ts";
import { createSystemClock } from "../../cli/system.ts";
import { ROOT, start } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";

test("a credential store killed after any change of its folder has a whole pair, and continues", async () => {
  await using folder = await createTempFolder();
  const certDir = folder.join("pki");
  await mkdir(certDir, { mode: 0o700 });
  // An update makes about ten changes, which the kill follows at once.
  for (const changes of [1, 4, 7]) {
    const program = join(ROOT, "tests/support/update_for_ever.ts");
    const isDeno = process.versions["deno"] !== undefined;
    const words = isDeno ? ["run", "-A", "--no-check", "--quiet"] : ["--disable-warning=MODULE_TYPELESS_PACKAGE_JSON"];
    await using running = start(process.execPath, [...words, program, folder.path]);
    await running.waitFor(/first/);
    let seen = 0;
    for await (const _ of watch(certDir)) if (++seen === changes) break;
    process.kill(running.pid, "SIGKILL");
    await running.finished();
    const files = createFilePort();
    const store = await openCredentialStore({ files, clock: createSystemClock(), certDir, prefix: "kubelet-client" });
    assert.match((await store.current())?.leaf.subject.commonName ?? "none", /^r\d+$/);
  }
  const left = (await readdir(certDir)).filter((name) => !/^kubelet-client-(current|updated|[\d-]+)\.pem$/.test(name));
  assert.deepEqual(left.filter((name) => !/^\.kubelet-client-[\d-]+\.pem\.\d+\.tmp$/.test(name)), []);
});
