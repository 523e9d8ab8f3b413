/**
 * A full disk: each write gets a clear answer, no acknowledged write is lost, and the server recovers once there is
 * space.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { spawnTlsboot, spawnTlsbootToEnd } from "../../support/child.ts";
import { createTempFolder, findServerPort } from "../../support/temp.ts";
import { csrManifest } from "../../support/interop/openssl.ts";
import { type Kubectl, waitForCertificate } from "../../support/interop/kubectl.ts";
import { startInstance, waitUntilUp } from "../../support/interop/instance.ts";
import { mountSmallDisk } from "../../support/interop/small_disk.ts";

/** Creates a CSR of a few pages, which does not fit into a partly used page. */
async function create(kubectl: Kubectl, name: string) {
  const stdin = await csrManifest(name, { metadata: { annotations: { "example.com/weight": "x".repeat(16_000) } } });
  return await kubectl.given({ stdin }).try("create", "-f", "-");
}

const listNames = async (kubectl: Kubectl): Promise<readonly string[]> =>
  (await kubectl.run("get", "csr", "--output=jsonpath={.items[*].metadata.name}")).split(" ");

test("up on a full disk refuses writes with a clear error, continues to read, and recovers when space is freed", async () => {
  await using folder = await createTempFolder();
  await using disk = await mountSmallDisk(folder.join("disk"), 4096);
  const port = ["--secure-port", String(await findServerPort())];
  await using instance = await startInstance({ dataDir: `${disk.path}/data`, args: port });
  const acknowledged: string[] = [];
  const createAcknowledged = async (name: string) => {
    const { code, stderr } = await create(instance.kubectl, name);
    assert.equal(code, 0, stderr);
    acknowledged.push(name);
  };
  // The free pages of the database may have room for a few more requests.
  const createUntilRefused = async (prefix: string) => {
    for (let number = 1; number <= 100; number++) {
      const { code, stderr } = await create(instance.kubectl, `${prefix}-${number}`);
      if (code === 0) {
        acknowledged.push(`${prefix}-${number}`);
        continue;
      }
      assert.match(stderr, /^Error from server.*(disk|space|full)/);
      assert.doesNotMatch(stderr, /\n {4}at /);
      return;
    }
    assert.fail("a full disk refused nothing");
  };
  await createAcknowledged("before-1");
  await createAcknowledged("before-2");

  await disk.fill();
  await createUntilRefused("during");
  await createUntilRefused("still");
  assert.deepEqual([...await listNames(instance.kubectl)].sort(), [...acknowledged].sort());
  assert.equal(await instance.kubectl.run("get", "--raw", "/livez"), "ok");

  await disk.free();
  await createAcknowledged("after-1");
  await instance.kubectl.run("certificate", "approve", "after-1");
  await waitForCertificate(instance.kubectl, "after-1");

  await disk.fill();
  await createUntilRefused("again");
  instance.running.kill("SIGKILL");
  await instance.running.finished();
  await disk.free();
  await using again = spawnTlsboot(["up", ...port, "--data-dir", instance.dataDir]);
  await waitUntilUp(again);
  assert.deepEqual([...await listNames(instance.kubectl)].sort(), [...acknowledged].sort());
});

test("up on a full disk reports it and exits with 1, and starts once there is space", async () => {
  await using folder = await createTempFolder();
  await using disk = await mountSmallDisk(folder.join("disk"), 4096);
  await disk.fill();
  const args = ["up", "--secure-port", "0", "--data-dir", `${disk.path}/data`];
  const { code, stdout, stderr } = await spawnTlsbootToEnd(args);
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /^tlsboot: error: cannot .*(no space left on device|disk is full)/im);
  await disk.free();
  {
    await using running = spawnTlsboot(args);
    await waitUntilUp(running);
    running.kill("SIGTERM");
    await running.finished();
  }
  // All files exist now, so only the database is written.
  await disk.fill();
  const again = await spawnTlsbootToEnd(args);
  assert.equal(again.code, 1);
  assert.equal(again.stdout, "");
  assert.match(again.stderr, /^tlsboot: error: cannot open storage .*disk is full\ntlsboot: hint: free some space/m);
});
