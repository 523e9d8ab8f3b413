/** Revocation with stock kubectl and kubelets: on two servers of one etcd, after a restart, and after a restore. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { eventually } from "../../support/eventually.ts";
import { startEtcd } from "../../support/interop/etcd.ts";
import { type RunningInstance, startInstance } from "../../support/interop/instance.ts";
import { createKubectl, type Kubectl, untilAllowed } from "../../support/interop/kubectl.ts";
import { startKubelet } from "../../support/interop/kubelet.ts";
import { startServers } from "../../support/interop/servers.ts";
import { createTempFolder } from "../../support/temp.ts";

const WATCH = ["get", "configmaps", "-n", "default", "--watch", "--output=name"];

/** Runs a command of tlsboot as the administrator of an instance. */
async function administer(instance: RunningInstance, ...args: readonly string[]): Promise<string> {
  const { stdout } = await instance.succeed(...args, "--kubeconfig", instance.adminKubeconfig);
  return stdout;
}

/** Creates a kubeconfig for a person who may read config maps, and returns kubectl with it for each instance. */
async function grantAccess(instances: readonly RunningInstance[], user: string): Promise<readonly Kubectl[]> {
  const [first] = instances as [RunningInstance];
  await administer(first, "kubeconfig", "user", user, "--duration", "1h");
  await first.kubectl.run("create", "clusterrolebinding", user, "--clusterrole=view", `--user=${user}`);
  const config = await readFile(first.folder.join(`${user}.kubeconfig`), "utf8");
  return await Promise.all(instances.map(async (instance, index) => {
    const path = first.folder.join(`${user}-${index}.kubeconfig`);
    await writeFile(path, config.replaceAll(first.server, instance.server), { mode: 0o600 });
    const kubectl = instance.kubectl.as(path);
    await untilAllowed(kubectl, "watch", "configmaps", "-n", "default");
    return kubectl;
  }));
}

test("a stolen laptop: kubectl get --watch ends at both servers of an etcd before a later write, and other users are not affected", async () => {
  await using etcd = await startEtcd();
  await using servers = await startServers([etcd.urls, etcd.urls]);
  const [one, two] = servers.instances as [RunningInstance, RunningInstance];
  await one.kubectl.run("create", "configmap", "first", "-n", "default");
  const [alice, bob] = [await grantAccess([one, two], "alice"), await grantAccess([one, two], "bob")];
  const watches = [...alice, ...bob].map((kubectl) => kubectl.start(...WATCH));
  try {
    for (const watch of watches) await watch.waitFor(/configmap\/first/);
    const [aliceWatches, bobWatches] = [watches.slice(0, 2), watches.slice(2)];
    const revocation = {
      apiVersion: "tlsboot/v1alpha1",
      kind: "Revocation",
      metadata: { name: "user:alice" },
      spec: { user: "alice", reason: "keyCompromise", message: "laptop stolen" },
    };
    const file = one.folder.join("revocation.json");
    await writeFile(file, JSON.stringify(revocation));
    await one.kubectl.run("create", "-f", file);
    for (const [index, kubectl] of alice.entries()) {
      const refused = await eventually("alice is refused", async () => {
        const answer = await kubectl.try("get", "configmaps", "-n", "default");
        // The other server may lag by a second.
        return index > 0 && answer.code === 0 ? undefined : answer;
      });
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /You must be logged in to the server \(Unauthorized\)/);
    }
    await one.kubectl.run("create", "configmap", "second", "-n", "default");
    for (const watch of bobWatches) await watch.waitFor(/configmap\/second/);
    await eventually(
      "the watches of alice end",
      async () => aliceWatches.every((watch) => watch.hasEnded()) || undefined,
    );
    for (const watch of aliceWatches) assert.doesNotMatch(watch.stdout(), /configmap\/second/);

    assert.match(await two.kubectl.run("get", "revocations"), /^user:alice +keyCompromise +\S+ +\S+$/m);
    await eventually("the use is reported", async () => {
      const events = await two.kubectl.run("get", "events", "-n", "default");
      return /Warning +RevokedCredentialUsed +revocation\/user:alice .*was used from 127.0.0.1/.test(events) ||
        undefined;
    });
    await eventually("the record is marked", async () => {
      const marked = await two.kubectl.run("get", "issuedcertificates");
      return /CN=alice .* keyCompromise /.test(marked) || undefined;
    });
    await administer(two, "unrevoke", "user/alice");
    await alice[1]!.run("get", "configmaps", "-n", "default");
    await untilAllowed(alice[0]!, "get", "configmaps", "-n", "default");
    await alice[0]!.run("get", "configmaps", "-n", "default");
  } finally {
    for (const watch of watches) await watch[Symbol.asyncDispose]();
  }
});

test("a stolen node: its kubelet is refused, even after a restart and a restore, and a replacement can use its name", async () => {
  await using folder = await createTempFolder();
  const dataDir = folder.join("data");
  const stolen = await createTempFolder();
  const replacement = await createTempFolder();
  await using _folders = {
    async [Symbol.asyncDispose]() {
      await stolen[Symbol.asyncDispose]();
      await replacement[Symbol.asyncDispose]();
    },
  };
  const join = async (instance: RunningInstance, place: typeof folder): Promise<string> => {
    const token = await administer(instance, "token", "create", "--node", "n1", "--approve", "--ttl", "30m");
    const config = await readFile(instance.bootstrapKubeconfig, "utf8");
    const path = place.join("bootstrap.kubeconfig");
    await writeFile(path, config.replace(/token: \S+/, `token: ${token.trim()}`), { mode: 0o600 });
    await using kubelet = await startKubelet(place, "n1", path);
    await kubelet.running.finished();
    return kubelet.kubeconfig;
  };
  const isRefused = async (place: typeof folder, kubeconfig: string, server: string): Promise<boolean> => {
    const config = await readFile(kubeconfig, "utf8");
    const moved = place.join("moved.kubeconfig");
    await writeFile(moved, config.replace(/server: \S+/, `server: ${server}`), { mode: 0o600 });
    const { code, stdout, stderr } = await createKubectl(place, moved).try("auth", "whoami");
    if (code === 0) assert.match(stdout, /system:node:n1/);
    else assert.match(stderr, /Unauthorized/);
    return code !== 0;
  };
  let [old, fresh] = ["", ""];
  const backup = folder.join("instance.backup");
  const passphrase = folder.join("passphrase");
  await writeFile(passphrase, "a passphrase for a test\n", { mode: 0o600 });
  {
    await using instance = await startInstance({ dataDir });
    old = await join(instance, stolen);
    assert.equal(await isRefused(stolen, old, instance.server), false);
    await administer(instance, "revoke", "node/n1", "--reason", "keyCompromise", "--yes");
    assert.equal(await isRefused(stolen, old, instance.server), true);
    // A copy of the bootstrap kubeconfig is useless too, because its token is used up.
    const again = await createTempFolder();
    await using _again = again;
    await using thief = await startKubelet(again, "n1", stolen.join("bootstrap.kubeconfig"));
    await thief.running.waitFor(/Unauthorized|forbidden/);
    fresh = await join(instance, replacement);
    assert.equal(await isRefused(replacement, fresh, instance.server), false);
    await instance.succeed("backup", backup, "--data-dir", dataDir, "--passphrase-file", passphrase);
  }
  const check = async (instance: RunningInstance): Promise<void> => {
    assert.equal(await isRefused(stolen, old, instance.server), true);
    assert.equal(await isRefused(replacement, fresh, instance.server), false);
    assert.match(await instance.kubectl.run("get", "revocations", "--output=name"), /^revocation.tlsboot\/node:n1$/m);
  };
  {
    await using instance = await startInstance({ dataDir });
    await check(instance);
    await instance.succeed(
      ...["restore", backup, "--data-dir", folder.join("restored"), "--passphrase-file", passphrase],
    );
  }
  await using instance = await startInstance({ dataDir: folder.join("restored") });
  await check(instance);
});
