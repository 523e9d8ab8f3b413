/** docs/guides/etcd.md, "A kube-apiserver": one with the instance's own CA and certificates beside ours, then in its place. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { peerPath } from "../support/peers/go.ts";
import { start } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { findFreePort } from "../support/temp.ts";
import { startApiserver } from "../support/interop/apiserver.ts";
import { startEtcd } from "../support/interop/etcd.ts";
import { startInstance } from "../support/interop/instance.ts";

test("a kube-apiserver with the instance's CA serves its kubeconfigs, beside tlsboot and in its place", async () => {
  await using etcd = await startEtcd();
  const url = etcd.urls[0]!;
  await using instance = await startInstance({ args: ["--etcd-servers", url, "--auto-approve"] });
  const port = await findFreePort();
  const bootstrap = async (name: string) =>
    await instance.tlsboot(
      ...["bootstrap", "--bootstrap-kubeconfig", instance.bootstrapKubeconfig, "--hostname-override", name],
      ...[
        "--kubeconfig",
        instance.folder.join(`${name}/kubeconfig`),
        "--cert-dir",
        instance.folder.join(`${name}/pki`),
      ],
    );
  const first = await bootstrap("n1");
  assert.equal(first.code, 0, first.stderr);
  await instance.kubectl.run("create", "cm", "ours");

  await using beside = await startApiserver(instance, url, port);
  const at = (place: string) => ["--server", place];
  const theirs = `https://127.0.0.1:${port}`;
  await eventually(
    "kube-apiserver is ready",
    async () => (await instance.kubectl.try(...at(theirs), "get", "--raw", "/readyz")).code === 0 || undefined,
    60_000,
  );
  await instance.kubectl.run(...at(theirs), "create", "cm", "theirs");
  assert.match(await instance.kubectl.run("get", "cm", "--output=name"), /configmap\/ours\nconfigmap\/theirs/);
  // A node that joined here is known there, by its certificate.
  const node = instance.kubectl.as(instance.folder.join("n1/kubeconfig"));
  assert.match(await node.run(...at(theirs), "auth", "whoami"), /system:node:n1/);
  beside.kill("SIGTERM");
  await beside.finished();

  instance.running.kill("SIGTERM");
  await instance.running.finished();
  // Where the servers are is all that the clients know.
  await using instead = await startApiserver(instance, url, Number(new URL(instance.server).port));
  await using signer = start(peerPath("kube-controller-manager"), [
    `--kubeconfig=${instance.adminKubeconfig}`,
    `--cluster-signing-cert-file=${instance.dataDir}/pki/ca.crt`,
    `--cluster-signing-key-file=${instance.dataDir}/pki/ca.key`,
    "--controllers=certificatesigningrequest-approving-controller,certificatesigningrequest-signing-controller",
    "--leader-elect=false",
    "--secure-port=0",
  ]);
  await eventually(
    "kube-apiserver is ready in its place",
    async () => (await instance.kubectl.try("get", "--raw", "/readyz")).code === 0 || undefined,
    60_000,
  );
  assert.match(await node.run("auth", "whoami"), /system:node:n1/);
  const second = await bootstrap("n2");
  assert.equal(second.code, 0, `${second.stderr}\n${signer.stderr()}\n${instead.stderr().slice(-2000)}`);
});
