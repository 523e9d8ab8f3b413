/** docs/etcd.md, "A kube-apiserver": one with the site's own CA and certificates beside ours, then in its place. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { peerPath } from "../../scripts/peers.ts";
import { start } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { findFreePort } from "../support/temp.ts";
import { startApiserver } from "./support/apiserver.ts";
import { startEtcd } from "./support/etcd.ts";
import { startSite } from "./support/site.ts";

test("a kube-apiserver with the site's CA serves its kubeconfigs, beside tlsboot and in its place", async () => {
  await using etcd = await startEtcd();
  const url = etcd.urls[0]!;
  await using site = await startSite({ args: ["--etcd-servers", url, "--auto-approve"] });
  const port = await findFreePort();
  const bootstrap = async (name: string) =>
    await site.tlsboot(
      ...["bootstrap", "--bootstrap-kubeconfig", site.bootstrapKubeconfig, "--hostname-override", name],
      ...["--kubeconfig", site.folder.join(`${name}/kubeconfig`), "--cert-dir", site.folder.join(`${name}/pki`)],
    );
  const first = await bootstrap("n1");
  assert.equal(first.code, 0, first.stderr);
  await site.kubectl.run("create", "cm", "ours");

  await using beside = await startApiserver(site, url, port);
  const at = (place: string) => ["--server", place];
  const theirs = `https://127.0.0.1:${port}`;
  await eventually(
    "kube-apiserver is ready",
    async () => (await site.kubectl.try(...at(theirs), "get", "--raw", "/readyz")).code === 0 || undefined,
    60_000,
  );
  await site.kubectl.run(...at(theirs), "create", "cm", "theirs");
  assert.match(await site.kubectl.run("get", "cm", "--output=name"), /configmap\/ours\nconfigmap\/theirs/);
  // A node that joined here is known there, by its certificate.
  const node = site.kubectl.as(site.folder.join("n1/kubeconfig"));
  assert.match(await node.run(...at(theirs), "auth", "whoami"), /system:node:n1/);
  beside.kill("SIGTERM");
  await beside.finished();

  site.running.kill("SIGTERM");
  await site.running.finished();
  // Where the servers are is all that the clients know.
  await using instead = await startApiserver(site, url, Number(new URL(site.server).port));
  await using signer = start(peerPath("kube-controller-manager"), [
    `--kubeconfig=${site.adminKubeconfig}`,
    `--cluster-signing-cert-file=${site.dataDir}/pki/ca.crt`,
    `--cluster-signing-key-file=${site.dataDir}/pki/ca.key`,
    "--controllers=certificatesigningrequest-approving-controller,certificatesigningrequest-signing-controller",
    "--leader-elect=false",
    "--secure-port=0",
  ]);
  await eventually(
    "kube-apiserver is ready in its place",
    async () => (await site.kubectl.try("get", "--raw", "/readyz")).code === 0 || undefined,
    60_000,
  );
  assert.match(await node.run("auth", "whoami"), /system:node:n1/);
  const second = await bootstrap("n2");
  assert.equal(second.code, 0, `${second.stderr}\n${signer.stderr()}\n${instead.stderr().slice(-2000)}`);
});
