/** Servers on an etcd with three members: what is revoked at one is revoked at the others, and all have the same CA. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { startEtcd } from "../support/interop/etcd.ts";
import { formatKubeconfig, type Kubectl } from "../support/interop/kubectl.ts";
import { startServers } from "../support/interop/servers.ts";
import { type RunningInstance, startInstance } from "../support/interop/instance.ts";

/** Returns kubectl with a kubeconfig that has only a token. */
async function kubeconfigWithToken(instance: RunningInstance, token: string): Promise<Kubectl> {
  const path = instance.folder.join(`${token.slice(0, 6)}.kubeconfig`);
  const cluster = { server: instance.server, "certificate-authority": instance.caPath };
  await writeFile(path, formatKubeconfig(cluster, { token }), { mode: 0o600 });
  return instance.kubectl.as(path);
}

/** Deletes an object at one server, and waits until a watch at another server delivers the deletion. */
async function deleteAt(
  here: RunningInstance,
  there: RunningInstance,
  resource: string,
  name: string,
  ...flags: readonly string[]
): Promise<void> {
  // A watch of a list continues after the list; a watch of a name would miss a deletion before it begins.
  const selected = ["get", resource, `--field-selector=metadata.name=${name}`, ...flags];
  const types = '--output=jsonpath={.type}{"\\n"}';
  await using watch = there.kubectl.start(...selected, "--watch", "--output-watch-events", types);
  await watch.waitFor(/^ADDED$/m);
  await here.kubectl.run("delete", resource, name, ...flags);
  await watch.waitFor(/^DELETED$/m);
}

test("two servers write in turn, and each immediately reads what the other has written", async () => {
  await using etcd = await startEtcd({ members: 3 });
  await using servers = await startServers([etcd.urls, etcd.urls]);
  const [a, b] = servers.instances as [RunningInstance, RunningInstance];
  const turns = ["configmap", "turns", "--namespace=default"];
  const revision = "--output=jsonpath={.metadata.resourceVersion}";
  let newest = await a.kubectl.run("create", ...turns, revision);
  for (const [turn, [here, there]] of [[b, a], [a, b], [b, a], [a, b]].entries()) {
    // A server that does not know the last write of the other server refuses this patch as a conflict.
    const patch = JSON.stringify({ metadata: { resourceVersion: newest }, data: { turn: `${turn}` } });
    newest = await here!.kubectl.run("patch", ...turns, `--patch=${patch}`, revision);
    assert.equal(await there!.kubectl.run("get", ...turns, `${revision} {.data.turn}`), `${newest} ${turn}`);
  }
});

test("a permission revoked at one server is revoked at another once a watch there shows it, and open watches end", async () => {
  await using etcd = await startEtcd({ members: 3 });
  await using servers = await startServers([etcd.urls, etcd.urls], { args: ["--auto-approve"] });
  const [a, b] = servers.instances as [RunningInstance, RunningInstance];
  const token = (await a.tlsboot("token", "create", "--kubeconfig", a.adminKubeconfig)).stdout.trim();
  const bearer = await kubeconfigWithToken(b, token);
  const isAllowed = async (...args: readonly string[]) => (await bearer.try(...args)).code === 0 || undefined;
  await eventually("the token is valid at the other server", () => isAllowed("auth", "can-i", "create", "csr"));

  // A permission ends with its binding.
  await a.kubectl.run("create", "clusterrolebinding", "look", "--clusterrole=view", "--group=system:bootstrappers");
  await eventually("the binding is valid at the other server", () => isAllowed("get", "cm", "-n", "default"));
  await deleteAt(a, b, "clusterrolebinding", "look");
  assert.match((await bearer.try("get", "cm", "-n", "default")).stderr, /Forbidden/);

  // A service account token ends with its account.
  await a.kubectl.run("create", "serviceaccount", "app");
  const account = await kubeconfigWithToken(b, (await a.kubectl.run("create", "token", "app")).trim());
  assert.match(await account.run("auth", "whoami"), /system:serviceaccount:default:app/);
  await deleteAt(a, b, "serviceaccount", "app");
  assert.match((await account.try("get", "--raw", "/api")).stderr, /Unauthorized/);

  // A revocation applies at the other server too, which also counts it.
  const stolen = (await a.succeed("token", "create", "--kubeconfig", a.adminKubeconfig)).stdout.trim();
  const [id] = stolen.split(".");
  const thief = await kubeconfigWithToken(b, stolen);
  await eventually("the token is valid there", async () => (await thief.try("auth", "whoami")).code === 0 || undefined);
  await using revocations = b.kubectl.start("get", "revocations", "--watch", "--output=name");
  await a.succeed("revoke", `token/${id}`, "--yes", "--kubeconfig", a.adminKubeconfig);
  await revocations.waitFor(new RegExp(`^revocation\\.tlsboot/token:${id}$`, "m"));
  assert.match((await thief.try("get", "--raw", "/api")).stderr, /Unauthorized/);
  assert.match(await b.kubectl.run("get", "--raw", "/metrics"), /^tlsboot_revocations\{kind="token"\} 1$/m);

  const watched = "/apis/certificates.k8s.io/v1/certificatesigningrequests?watch=1&timeoutSeconds=9000000" +
    "&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
  await using watch = bearer.start("get", "--raw", watched);
  await watch.waitFor(/initial-events-end/);
  await deleteAt(a, b, "secret", `bootstrap-token-${token.slice(0, 6)}`, "--namespace=kube-system");
  assert.match((await bearer.try("get", "--raw", "/api")).stderr, /Unauthorized/);
  await eventually("the watch ends", async () => watch.hasEnded() || undefined);
});

test("a server with another CA is refused, with a hint", async () => {
  await using etcd = await startEtcd();
  await using instance = await startInstance({ args: ["--etcd-servers", etcd.urls.join(",")] });
  const servers = ["--etcd-servers", etcd.urls.join(",")];
  const { code, stderr } = await instance.tlsboot("up", "--secure-port", "0", "--data-dir", "other", ...servers);
  assert.equal(code, 1);
  assert.match(stderr, /cannot share this etcd: its instance has another CA/);
  assert.match(stderr, /copy pki\/ca.crt and pki\/ca.key/);
});
