/** Three servers on one etcd replace their CA: stock kubectl keeps working, and a server that was killed catches up. */
import assert from "node:assert/strict";
import { copyFile, readFile } from "node:fs/promises";
import { test } from "node:test";
import {
  beginRotation,
  changeRotation,
  finishRotation,
  type TestRotation,
  waitUntilAdopted,
} from "../support/ca_rotation.ts";
import { runProgram, succeedProgram } from "../support/child.ts";
import { connectWith } from "../support/instance_process.ts";
import { startEtcd } from "../support/interop/etcd.ts";
import { type RunningInstance, startInstance } from "../support/interop/instance.ts";
import { startServers } from "../support/interop/servers.ts";

/** Reports whether openssl accepts the chain of a server for a client that trusts one CA. */
async function isAccepted({ server }: RunningInstance, caFile: string): Promise<boolean> {
  const { host } = new URL(server);
  const args = ["s_client", "-connect", host, "-CAfile", caFile, "-verify_return_error"];
  return (await runProgram("openssl", args, { stdin: "Q\n" })).code === 0;
}

test("three servers on one etcd adopt each step; kubectl with the old CA works until the end, also at a server that was killed", async () => {
  await using etcd = await startEtcd();
  const args = ["--auto-approve", "--etcd-servers", etcd.urls.join(",")];
  await using servers = await startServers([etcd.urls, etcd.urls, etcd.urls], { args: ["--auto-approve"] });
  const [a, b, c] = servers.instances as [RunningInstance, RunningInstance, RunningInstance];
  const oldKubeconfigs = new Map<RunningInstance, string>();
  for (const instance of [a, b, c]) {
    const kept = instance.folder.join("kept.kubeconfig");
    await copyFile(instance.adminKubeconfig, kept);
    oldKubeconfigs.set(instance, kept);
  }
  const withOld = (instance: RunningInstance) => instance.kubectl.as(oldKubeconfigs.get(instance) ?? "");
  const drive = async (use: (api: Parameters<typeof changeRotation>[0]) => Promise<unknown>) => {
    await using admin = await connectWith(a.adminKubeconfig);
    await use(admin.api);
  };
  const readCa = (instance: RunningInstance) => readFile(instance.caPath, "utf8");
  const columns = '--output=jsonpath={.metadata.name}{"\\n"}';
  await using watch = withOld(b).start("get", "cm", "-n", "default", "--watch", columns);
  await watch.waitFor(/kube-root-ca.crt/);

  let rotation: TestRotation | undefined;
  await drive(async (api) => {
    rotation = await beginRotation(api, a.dataDir);
    await waitUntilAdopted(api, 3);
  });
  assert.ok(rotation !== undefined);
  const { oldCa, newCa } = rotation;
  assert.deepEqual(await Promise.all([a, b, c].map(readCa)), [oldCa, oldCa, oldCa]);

  c.running.kill("SIGKILL");
  await c.running.finished();
  await drive(async (api) => {
    await changeRotation(api, { step: "Switch" });
    await waitUntilAdopted(api, 2);
  });
  await using again = await startInstance({ args, dataDir: c.dataDir });
  await drive((api) => waitUntilAdopted(api, 3));
  const [oldFile, newFile] = [`${a.dataDir}/pki/old-ca.crt`, a.caPath];
  for (const instance of [a, b, again]) {
    assert.equal(await readCa(instance), newCa);
    assert.deepEqual([await isAccepted(instance, oldFile), await isAccepted(instance, newFile)], [true, true]);
  }
  for (const instance of [a, b]) await withOld(instance).run("get", "ns", "default");
  await b.kubectl.run("create", "cm", "after-the-switch", "-n", "default");
  await watch.waitFor(/after-the-switch/);
  await b.succeed(
    ...["bootstrap", "--bootstrap-kubeconfig", b.bootstrapKubeconfig, "--hostname-override", "n1"],
    ...["--kubeconfig", b.folder.join("n1.kubeconfig"), "--cert-dir", b.folder.join("n1")],
  );
  const leaf = b.folder.join("n1/kubelet-client-current.pem");
  await succeedProgram("openssl", ["verify", "-CAfile", newFile, leaf]);

  await finishRotation(a.adminKubeconfig, 3);
  await watch.finished();
  for (const instance of [a, b]) {
    const { code, stderr } = await withOld(instance).try("get", "ns", "default");
    assert.equal(code, 1);
    assert.match(stderr, /certificate signed by unknown authority/);
    const skipping = await withOld(instance).try("--insecure-skip-tls-verify", "get", "ns", "default");
    assert.match(skipping.stderr, /Unauthorized|must be logged in/);
  }
  await again.kubectl.run("get", "ns", "default");
});
