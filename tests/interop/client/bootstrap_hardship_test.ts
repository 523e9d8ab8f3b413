/** Certificate rotation with a full disk, an unreachable API, a suspended machine and a kill. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { type Child, spawnTlsboot } from "../../support/child.ts";
import { createTempFolder, findServerPort } from "../../support/temp.ts";
import { assertNodePair } from "../../support/interop/openssl.ts";
import { startInstance, waitUntilUp } from "../../support/interop/instance.ts";
import { mountSmallDisk } from "../../support/interop/small_disk.ts";

/** Certificates are backdated by five minutes, so a rotating client renews again and again. */
const SHORT_LIFE = ["--auto-approve", "--cluster-signing-duration", "60s"];

function rotate(bootstrap: string, folder: string, node = "n1"): Child {
  return spawnTlsboot([
    ...["bootstrap", "--bootstrap-kubeconfig", bootstrap, "--kubeconfig", `${folder}/kubeconfig`],
    ...["--cert-dir", `${folder}/pki`, "--hostname-override", node, "--rotate-certificates"],
  ]);
}

async function untilRenewed(running: Child, times: number): Promise<void> {
  await running.waitFor(new RegExp(`(?:[^]*certificate renewed, valid until ){${times}}`));
}

function count(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].length;
}

test("a full disk stops renewals with an error, but keeps the pair and adds no requests; renewals continue once there is space", async () => {
  await using instance = await startInstance({ args: SHORT_LIFE });
  await using folder = await createTempFolder();
  await using disk = await mountSmallDisk(folder.join("disk"), 256);
  await using running = rotate(instance.bootstrapKubeconfig, disk.path);
  await untilRenewed(running, 1);
  await disk.fill();
  await running.waitFor(/(?:[^]*cannot renew the certificate[^\n]*no space left on device){2}/);
  const link = `${disk.path}/pki/kubelet-client-current.pem`;
  // On a slow machine the kept certificate has expired by now.
  await assertNodePair(instance.caPath, link, "n1", "-no_check_time");
  const requests = await instance.kubectl.run("get", "csr", "--output=name");
  await running.waitFor(/(?:[^]*cannot renew the certificate[^\n]*no space left on device){3}/);
  assert.equal(
    await instance.kubectl.run("get", "csr", "--output=name"),
    requests,
    "the issued certificate is kept, not requested again",
  );
  const before = await readFile(link, "utf8");
  const renewed = count(running.stdout(), /certificate renewed/g);
  await disk.free();
  await untilRenewed(running, renewed + 1);
  await assertNodePair(instance.caPath, link, "n1");
  assert.notEqual(await readFile(link, "utf8"), before);
});

test("an unreachable server, a suspended machine and a kill only delay a renewal", async () => {
  const port = String(await findServerPort());
  await using instance = await startInstance({ args: [...SHORT_LIFE, "--secure-port", port] });
  const folder = instance.folder.join("n1");
  const link = `${folder}/pki/kubelet-client-current.pem`;
  const running = rotate(instance.bootstrapKubeconfig, folder);
  try {
    await untilRenewed(running, 1);
    instance.running.kill("SIGTERM");
    await instance.running.finished();
    await running.waitFor(/cannot renew the certificate[^\n]*(?:connection refused|cannot reach)/);
    const renewed = count(running.stdout(), /certificate renewed/g);
    await using again = spawnTlsboot(["up", ...SHORT_LIFE, "--secure-port", port, "--data-dir", instance.dataDir]);
    await waitUntilUp(again);
    await untilRenewed(running, renewed + 1);
    running.kill("SIGSTOP");
    let renewedBefore = 0;
    {
      // The machine is suspended while another one joins and renews twice.
      await using otherMachine = rotate(instance.bootstrapKubeconfig, instance.folder.join("n2"), "n2");
      await untilRenewed(otherMachine, 1);
      // All output from before the suspension has arrived by now.
      renewedBefore = count(running.stdout(), /certificate renewed/g);
      await untilRenewed(otherMachine, 2);
    }
    assert.equal(count(running.stdout(), /certificate renewed/g), renewedBefore);
    running.kill("SIGCONT");
    await untilRenewed(running, renewedBefore + 2);
    running.kill("SIGKILL");
    await running.finished();
    await assertNodePair(instance.caPath, link, "n1");
    await using next = rotate(instance.bootstrapKubeconfig, folder);
    await untilRenewed(next, 1);
    next.kill("SIGKILL");
    await next.finished();
    await assertNodePair(instance.caPath, link, "n1");
  } finally {
    await running[Symbol.asyncDispose]();
  }
});
