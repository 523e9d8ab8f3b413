/** Checks how a server behaves and what it reports while its etcd is down, stalled, full, compacted or cut off. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../support/eventually.ts";
import { spawnTlsbootToEnd, start, tlsbootCommand } from "../../support/child.ts";
import { createTempFolder } from "../../support/temp.ts";
import { peerPath } from "../../support/peers/go.ts";
import { startEtcd } from "../../support/interop/etcd.ts";
import type { Kubectl } from "../../support/interop/kubectl.ts";
import { createNetwork } from "../../support/interop/network_namespace.ts";
import { startInstance } from "../../support/interop/instance.ts";

/** Reads `/readyz`, which lists the checks that fail. */
async function readyz(kubectl: Kubectl): Promise<string> {
  const { code, stdout, stderr } = await kubectl.try("get", "--raw", "/readyz?verbose");
  return code === 0 ? stdout : stderr;
}

async function waitReady(kubectl: Kubectl): Promise<void> {
  await eventually(
    "the server is ready again",
    async () => (await readyz(kubectl)).includes("readyz check passed") || undefined,
  );
}

test("a missing etcd is reported, with a hint", async () => {
  await using folder = await createTempFolder();
  const { code, stderr } = await spawnTlsbootToEnd(
    ["serve", "--etcd-servers", "http://127.0.0.1:1", "--secure-port", "0", "--data-dir", folder.join("data")],
  );
  assert.equal(code, 1);
  assert.match(stderr, /cannot read etcd: connect ECONNREFUSED 127\.0\.0\.1:1\n/);
  assert.match(stderr, /hint: check --etcd-servers and that a majority/);
});

test("a server whose etcd stalls or is killed acknowledges nothing, reports it, and continues afterwards", async () => {
  await using etcd = await startEtcd();
  await using instance = await startInstance({ args: ["--etcd-servers", etcd.urls.join(",")] });
  const { kubectl } = instance;
  const member = etcd.members[0]!;
  await kubectl.run("create", "cm", "before");

  member.signal("SIGSTOP");
  const stalled = await kubectl.try("create", "cm", "meanwhile");
  const unready = await readyz(kubectl);
  // An unverifiable token must not be refused: a kubelet gives up after a refusal.
  const byToken = await kubectl.try("--kubeconfig", instance.bootstrapKubeconfig, "auth", "whoami");
  member.signal("SIGCONT");
  assert.equal(stalled.code, 1);
  assert.match(stalled.stderr, /etcd: no answer in time/);
  assert.match(unready, /\[-\]etcd failed[^]*readyz check failed/);
  assert.equal(byToken.code, 1);
  assert.match(byToken.stderr, /ServiceUnavailable\): cannot read etcd/);
  await waitReady(kubectl);

  await member.kill();
  const refused = await kubectl.try("create", "cm", "meanwhile-too");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /cannot (?:read|write) etcd/);
  assert.match(await readyz(kubectl), /\[-\]etcd failed/);
  member.restart();
  await waitReady(kubectl);
  await kubectl.run("create", "cm", "after");
  const names = await kubectl.run("get", "cm", "--output=name");
  assert.match(names, /before/);
  assert.match(names, /after/);
  assert.doesNotMatch(names, /meanwhile-too/);
});

test("a server whose etcd is full refuses writes, reports it, still reads, and is ready once there is space", async () => {
  await using etcd = await startEtcd({ flags: ["--quota-backend-bytes=16777216"] });
  await using instance = await startInstance({ args: ["--etcd-servers", etcd.urls.join(",")] });
  const { kubectl } = instance;
  const manifest = (number: number) =>
    JSON.stringify({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: `big-${number}` },
      data: { text: "x".repeat(900_000) },
    });
  let stderr = "";
  let taken = 0;
  for (; stderr === "" && taken < 100; taken++) {
    stderr = (await kubectl.given({ stdin: manifest(taken) }).try("create", "-f", "-")).stderr;
  }
  assert.match(stderr, /^Error from server: error when creating "STDIN": etcdserver: mvcc: database space exceeded\n$/);
  const names = await kubectl.run("get", "cm", "--output=name");
  assert.equal(names.split("\n").filter((line) => line.includes("/big-")).length, taken - 1);
  assert.match(await readyz(kubectl), /\[-\]etcd failed/);

  await kubectl.run("delete", "cm", "--all");
  assert.match(await readyz(kubectl), /\[-\]etcd failed/);
  const member = etcd.members[0]!;
  await member.call("kv/compaction", { revision: await member.revision(), physical: true });
  await member.call("maintenance/defragment", {});
  const { alarms } = await member.call<{ readonly alarms: readonly object[] }>("maintenance/alarm", { action: "GET" });
  for (const alarm of alarms) await member.call("maintenance/alarm", { action: "DEACTIVATE", ...alarm });
  await waitReady(kubectl);
  await kubectl.run("create", "cm", "after");
});

test("a server reads at the revision of another server, even if none of its keys has changed", async () => {
  await using etcd = await startEtcd();
  await using instance = await startInstance({ args: ["--etcd-servers", etcd.urls.join(",")] });
  const [member] = etcd.members;
  await member!.put("/elsewhere", "");
  const revision = await member!.revision();
  for (const query of [`resourceVersion=${revision}`, `resourceVersion=${revision}&limit=1`]) {
    const path = `/apis/certificates.k8s.io/v1/certificatesigningrequests?${query}`;
    assert.match(await instance.kubectl.run("get", "--raw", path), /"CertificateSigningRequestList"/);
  }
});

test("a watch from a compacted revision ends with 410, and a watch from a later revision continues", async () => {
  await using etcd = await startEtcd();
  const args = ["--etcd-servers", etcd.urls.join(","), "--etcd-compaction-interval", "2s"];
  const folder = await createTempFolder();
  await using _folder = folder;
  const dataDir = folder.join("data");
  const [member] = etcd.members;
  let old = "";
  {
    await using instance = await startInstance({ args, dataDir });
    old = (await instance.kubectl.run("create", "cm", "a", "--output=jsonpath={.metadata.resourceVersion}")).trim();
    await eventually("etcd is compacted", async () => {
      await instance.kubectl.run("annotate", "--overwrite", "cm", "a", `t=${Date.now()}`);
      const compacted = await compactedRevision(member!.url);
      return compacted > Number(old) || undefined;
    });
  }
  // No server compacts from here on.
  const later = await member!.revision();
  const metadata = { name: "b", namespace: "default" };
  await member!.put(
    "/registry/configmaps/default/b",
    JSON.stringify({ kind: "ConfigMap", apiVersion: "v1", metadata }),
  );
  // etcd keeps the history, so a server that has just started knows it too.
  await using instance = await startInstance({
    args: ["--etcd-servers", etcd.urls.join(","), "--etcd-compaction-interval", "0"],
    dataDir,
  });
  const watch = async (version: string | number, want: RegExp) => {
    const path = `/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=${version}`;
    await using running = instance.kubectl.start("get", "--raw", path);
    await running.waitFor(want);
  };
  await watch(old, /"code":410/);
  await watch(later, /^\{"type":"ADDED","object":\{"kind":"ConfigMap","apiVersion":"v1","metadata":\{"name":"b"/);
});

/** Returns the compacted revision, which etcd reports to a watch from the first revision, but not to a read. */
async function compactedRevision(url: string): Promise<number> {
  const body = JSON.stringify({ create_request: { key: btoa("/"), range_end: btoa("0"), start_revision: 1 } });
  const response = await fetch(`${url}/v3/watch`, { method: "POST", body });
  const reader = response.body!.getReader();
  let text = "";
  while (!text.includes('"compact_revision"') && !text.includes('"events"')) {
    const { done, value } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  await reader.cancel();
  return Number(/"compact_revision":"(\d+)"/.exec(text)?.[1] ?? 0);
}

test("a server that is cut off from etcd stops acknowledging, reports it in /readyz, and recovers", async () => {
  await using network = await createNetwork(1);
  const place = network.places[0]!;
  await using etcd = await startEtcd({ members: 3, places: [network.host] });
  await using folder = await createTempFolder();
  const up = ["up", "--secure-port", "6443", "--data-dir", folder.join("data"), "--etcd-servers", etcd.urls.join(",")];
  await using server = start(...place.wrap(...tlsbootCommand(up)));
  await server.waitFor(/tlsboot is up at/);
  const kubectl = async (...args: string[]) => {
    const command = place.wrap(peerPath("kubectl"), [
      "--kubeconfig",
      folder.join("data/admin.kubeconfig"),
      ...args,
    ]);
    await using running = start(...command, { env: { HOME: folder.path } });
    return await running.finished();
  };
  assert.equal((await kubectl("create", "cm", "before")).code, 0);

  await network.disconnect(network.host, place);
  const cut = await kubectl("create", "cm", "meanwhile");
  assert.equal(cut.code, 1);
  assert.match(cut.stderr, /cannot (?:read|write) etcd/);
  assert.match((await kubectl("get", "--raw", "/readyz?verbose")).stderr, /\[-\]etcd failed/);

  await network.reconnect(network.host, place);
  await eventually(
    "the server is ready again",
    async () => (await kubectl("get", "--raw", "/readyz")).code === 0 || undefined,
  );
  assert.equal((await kubectl("create", "cm", "after")).code, 0);
  assert.match((await kubectl("get", "cm", "--output=name")).stdout, /configmap\/after\n[^]*configmap\/before/);
});
