/** Three servers on an etcd of three members: one API, whichever server is used. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { startEtcd } from "../support/interop/etcd.ts";
import type { Kubectl } from "../support/interop/kubectl.ts";
import { startServers } from "../support/interop/servers.ts";
import { type RunningInstance, startInstance } from "../support/interop/instance.ts";

/** Runs a body with three servers over an etcd of three members. */
async function withServers(
  body: (instances: readonly [RunningInstance, RunningInstance, RunningInstance]) => Promise<void>,
) {
  await using etcd = await startEtcd({ members: 3 });
  await using servers = await startServers([etcd.urls, etcd.urls, etcd.urls], { args: ["--auto-approve"] });
  await body(servers.instances as [RunningInstance, RunningInstance, RunningInstance]);
}

/** A kubeconfig with a token alone. */
async function kubeconfigWithToken(instance: RunningInstance, token: string): Promise<Kubectl> {
  const path = instance.folder.join(`${token.slice(0, 6)}.kubeconfig`);
  const cluster = { server: instance.server, "certificate-authority": instance.caPath };
  await writeFile(
    path,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "instance", cluster }],
      users: [{ name: "token", user: { token } }],
      contexts: [{ name: "it", context: { cluster: "instance", user: "token" } }],
      "current-context": "it",
    }),
    { mode: 0o600 },
  );
  return instance.kubectl.as(path);
}

/**
 * Measures how long a right is good at one server after it was revoked at another: the milliseconds until the last look
 * began that found it good. A look is a kubectl, and what that takes itself does not count.
 */
async function timeUntil(what: string, isGone: () => Promise<boolean>): Promise<number> {
  const revoked = performance.now();
  let lastGood = revoked;
  await eventually(what, async () => {
    const start = performance.now();
    if (await isGone()) return true;
    lastGood = start;
    return undefined;
  });
  return lastGood - revoked;
}

test("a watch at one server delivers the writes of the others, in order", async () => {
  await withServers(async ([a, b, c]) => {
    await a.kubectl.run("create", "cm", "numbers", "-n", "default", "--from-literal=n=0");
    const columns = '--output=jsonpath={.data.n}{"\\n"}';
    await using watch = a.kubectl.start("get", "cm", "numbers", "-n", "default", "--watch", columns);
    await watch.waitFor(/^0$/m);
    for (let number = 1; number <= 20; number++) {
      const { kubectl } = number % 2 === 0 ? b : c;
      await kubectl.run("patch", "cm", "numbers", "-n", "default", "-p", JSON.stringify({ data: { n: `${number}` } }));
    }
    await watch.waitFor(/^20$/m);
    const delivered = watch.stdout().split("\n").filter((line) => /^\d+$/.test(line)).map(Number);
    assert.deepEqual(delivered, Array.from({ length: 21 }, (_, index) => index));
  });
});

test("a right that is revoked at one server is revoked at the others within a second, and for open watches within seconds", async () => {
  await withServers(async ([a, b]) => {
    const token = (await a.tlsboot("token", "create", "--kubeconfig", a.adminKubeconfig)).stdout.trim();
    const bearer = await kubeconfigWithToken(b, token);
    const canAsk = async () => (await bearer.try("auth", "can-i", "create", "csr")).code === 0;
    await eventually("the token is good at the other server", async () => (await canAsk()) || undefined);

    // A right that a binding grants.
    await a.kubectl.run("create", "clusterrolebinding", "look", "--clusterrole=view", "--group=system:bootstrappers");
    const canLook = async () => (await bearer.try("get", "cm", "-n", "default")).code === 0;
    await eventually("the binding is good at the other server", async () => (await canLook()) || undefined);
    await a.kubectl.run("delete", "clusterrolebinding", "look");
    const binding = await timeUntil("the binding is gone", async () => !(await canLook()));

    // A token of a service account, which ends with the account.
    await a.kubectl.run("create", "serviceaccount", "app");
    const account = await kubeconfigWithToken(b, (await a.kubectl.run("create", "token", "app")).trim());
    assert.match(await account.run("auth", "whoami"), /system:serviceaccount:default:app/);
    await a.kubectl.run("delete", "serviceaccount", "app");
    const accountGone = await timeUntil(
      "the service account is gone",
      async () => (await account.try("get", "--raw", "/api")).code !== 0,
    );

    const watched = "/apis/certificates.k8s.io/v1/certificatesigningrequests?watch=1&timeoutSeconds=9000000" +
      "&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    await using watch = bearer.start("get", "--raw", watched);
    await watch.waitFor(/initial-events-end/);

    const id = token.slice(0, 6);
    await a.kubectl.run("delete", "secret", "-n", "kube-system", `bootstrap-token-${id}`);
    const tokenGone = await timeUntil(
      "the token is gone",
      async () => (await bearer.try("get", "--raw", "/api")).code !== 0,
    );
    assert.ok(binding < 1_000, `the binding was good for ${binding} ms`);
    assert.ok(accountGone < 1_000, `the token of the service account was good for ${accountGone} ms`);
    assert.ok(tokenGone < 1_000, `the token was good for ${tokenGone} ms`);
    const start = performance.now();
    await watch.finished();
    const watchGone = performance.now() - start;
    assert.ok(watchGone < 20_000, `the watch continued for ${watchGone} ms`);
  });
});

test("controllers work at one server; another one takes over when it is killed, and signs nothing twice", async () => {
  await withServers(async (instances) => {
    const leads = /"message":"leading"/;
    const [leader, ...others] = [...instances].sort((a, b) =>
      Number(leads.test(b.running.stderr())) - Number(leads.test(a.running.stderr()))
    );
    assert.ok(leader !== undefined && leads.test(leader.running.stderr()));
    assert.ok(others.every((other) => !leads.test(other.running.stderr())), "one leads");
    const join = async (instance: RunningInstance, name: string) => {
      const { code, stderr } = await instance.tlsboot(
        ...["bootstrap", "--bootstrap-kubeconfig", instance.bootstrapKubeconfig, "--hostname-override", name],
        ...[
          "--kubeconfig",
          instance.folder.join(`${name}/kubeconfig`),
          "--cert-dir",
          instance.folder.join(`${name}/pki`),
        ],
      );
      assert.equal(code, 0, stderr);
    };
    const [next] = others as [RunningInstance, RunningInstance];
    await join(next, "n1");

    leader.running.kill("SIGKILL");
    await leader.running.finished();
    const start = performance.now();
    await join(next, "n2");
    const took = performance.now() - start;
    assert.ok(took < 30_000, `it took ${took} ms`);
    assert.equal(others.filter((other) => leads.test(other.running.stderr())).length, 1);
    const issued = instances.flatMap((
      { running },
    ) => [...running.stderr().matchAll(/"message":"CSR signed".*?"csr":"([^"]+)"/g)])
      .map(([, name]) => name);
    assert.equal(issued.length, 2);
    assert.equal(new Set(issued).size, 2);
  });
});

test("a server with another CA is refused, with a hint", async () => {
  await using etcd = await startEtcd();
  await using instance = await startInstance({ args: ["--etcd-servers", etcd.urls.join(",")] });
  const { code, stderr } = await instance.tlsboot(
    "up",
    "--secure-port",
    "0",
    "--data-dir",
    "other",
    "--etcd-servers",
    etcd.urls.join(","),
  );
  assert.equal(code, 1);
  assert.match(stderr, /cannot share this etcd: its instance has another CA/);
  assert.match(stderr, /copy pki\/ca.crt and pki\/ca.key/);
});
