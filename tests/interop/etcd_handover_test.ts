/** docs/etcd.md, "A kube-apiserver": one with the site's own CA and certificates beside ours, then in its place. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { peerPath } from "../../scripts/peers.ts";
import { type Running, start } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { findFreePort } from "../support/temp.ts";
import { startEtcd } from "./support/etcd.ts";
import { openssl } from "./support/openssl.ts";
import { type RunningSite, startSite } from "./support/site.ts";

/** The flags of docs/etcd.md; on loopback nothing else can be advertised. */
function startApiserver(site: RunningSite, etcdUrl: string, port: number): Running {
  const pki = `${site.dataDir}/pki`;
  const serviceAccountKey = site.folder.join("sa.key");
  return start(peerPath("kube-apiserver"), [
    `--etcd-servers=${etcdUrl}`,
    `--client-ca-file=${pki}/ca.crt`,
    `--tls-cert-file=${pki}/apiserver.crt`,
    `--tls-private-key-file=${pki}/apiserver.key`,
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    "--enable-bootstrap-token-auth",
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${serviceAccountKey}`,
    `--service-account-signing-key-file=${serviceAccountKey}`,
    "--service-cluster-ip-range=10.96.0.0/16",
    `--secure-port=${port}`,
    "--bind-address=127.0.0.1",
    "--endpoint-reconciler-type=none",
  ]);
}

test("a kube-apiserver with the site's CA serves its kubeconfigs, beside tlsboot and in its place", async () => {
  await using etcd = await startEtcd();
  const url = etcd.urls[0]!;
  await using site = await startSite({ args: ["--etcd-servers", url, "--auto-approve"] });
  await openssl(["genrsa", "-out", site.folder.join("sa.key"), "2048"]);
  const port = await findFreePort();
  const bootstrap = async (name: string) =>
    await site.tlsboot(
      ...["bootstrap", "--bootstrap-kubeconfig", site.bootstrapKubeconfig, "--hostname-override", name],
      ...["--kubeconfig", site.folder.join(`${name}/kubeconfig`), "--cert-dir", site.folder.join(`${name}/pki`)],
    );
  const first = await bootstrap("n1");
  assert.equal(first.code, 0, first.stderr);
  await site.kubectl.run("create", "cm", "ours");

  await using beside = startApiserver(site, url, port);
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
  await using instead = startApiserver(site, url, Number(new URL(site.server).port));
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
