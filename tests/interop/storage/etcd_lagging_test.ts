/** An etcd member that lags behind the others: a server that uses it serves current data or none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { peerPath } from "../../support/peers/go.ts";
import { type Child, start, tlsbootCommand } from "../../support/child.ts";
import { eventually } from "../../support/eventually.ts";
import { type ApiClient, createApiClient } from "../../support/interop/api_client.ts";
import { type Etcd, startEtcd } from "../../support/interop/etcd.ts";
import { createNetwork } from "../../support/interop/network_namespace.ts";
import { copyAuthority, startServers } from "../../support/interop/servers.ts";
import type { RunningInstance } from "../../support/interop/instance.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const TOKENS = ['admin-token,admin,1,"system:masters"'];
const WATCH = ["get", "cm", "numbers", "-n", "default", "--watch", '--output=jsonpath={.data.n}{"\\n"}'];

/** Counts up in one object, and keeps the last acknowledged number. */
interface Counter {
  readonly acknowledged: number;
  /** Tries to write the next number. */
  next(): Promise<void>;
  /** Tries to change the object, but not its number. */
  touch(): Promise<void>;
}

async function startCounter(instance: RunningInstance): Promise<Counter> {
  const send = await createApiClient(instance, "admin-token");
  const created = await send("POST", MAPS, { body: { metadata: { name: "numbers" }, data: { n: "0" } } });
  assert.equal(created.code, 201, created.text);
  /** Reports whether etcd has stored a change; without a leader, the outcome is unknown. */
  const patch = async (body: object): Promise<boolean> => {
    const headers = { "content-type": "application/merge-patch+json" };
    const { code, text } = await send("PATCH", `${MAPS}/numbers`, { body, headers });
    if (code === 503) assert.match(text, /cannot write etcd: etcdserver: /);
    else assert.equal(code, 200, text);
    return code === 200;
  };
  let acknowledged = 0;
  let touched = 0;
  return {
    get acknowledged() {
      return acknowledged;
    },
    async next() {
      // Otherwise the same number is written again, which changes nothing if it was stored.
      if (await patch({ data: { n: String(acknowledged + 1) } })) acknowledged++;
    },
    async touch() {
      await patch({ metadata: { annotations: { touched: String(++touched) } } });
    },
  };
}

async function countTo(counter: Counter, number: number): Promise<void> {
  while (counter.acknowledged < number) await counter.next();
}

/** The reads that guarantee current data. */
const READS: readonly { readonly path: string; readonly find: RegExp }[] = [
  { path: `${MAPS}/numbers`, find: /"n":"(\d+)"/ },
  { path: MAPS, find: /"n":"(\d+)"/ },
  { path: `${MAPS}?limit=100`, find: /"n":"(\d+)"/ },
];

/** Reads until it is stopped. No answer may be older than the writes acknowledged before it. */
async function readWhile(send: ApiClient, counter: Counter, stop: AbortSignal): Promise<readonly number[]> {
  const codes: number[] = [];
  for (let turn = 0; !stop.aborted; turn++) {
    const { path, find } = READS[turn % READS.length]!;
    const known = counter.acknowledged;
    const { code, text } = await send("GET", path);
    codes.push(code);
    const read = Number(find.exec(text)?.[1] ?? -1);
    if (code === 200) assert.ok(read >= known, `${path} answered ${read} after ${known} was acknowledged`);
  }
  return codes;
}

/** Checks that a watch, which begins while all members answer, reports every number up to the last. */
async function checkWatch(
  kubectl: (...args: readonly string[]) => Child,
  counter: Counter,
  until: number,
  during: (watch: Child) => Promise<void>,
): Promise<void> {
  await using watch = kubectl(...WATCH);
  // kubectl prints the object, begins to watch, and omits the first event. A second line shows that the watch is open.
  await eventually("the watch is open", async () => {
    await counter.touch();
    return /^0\n0$/m.test(watch.stdout()) || undefined;
  });
  await during(watch);
  await watch.waitFor(new RegExp(`^${until}$`, "m"));
  const numbers = watch.stdout().split("\n").filter((line) => /^[1-9]\d*$/.test(line)).map(Number);
  assert.deepEqual(numbers, Array.from({ length: until }, (_, index) => index + 1));
}

/**
 * Starts a server with the members that keep up, one with only the lagging member, and one that tries that member
 * first.
 */
async function startThree(etcd: Etcd) {
  const [one, two, lagging] = etcd.urls as [string, string, string];
  return await startServers([[one, two], [lagging], [lagging, one, two]], { tokens: TOKENS });
}

test("a stalled member: a server without another member serves nothing, others soon continue, and no watch misses an event", async () => {
  await using etcd = await startEtcd({ members: 3 });
  await using servers = await startThree(etcd);
  const [steady, bound, free] = servers.instances as [RunningInstance, RunningInstance, RunningInstance];
  const [sendToBound, sendToFree] = await Promise.all(
    [bound, free].map((instance) => createApiClient(instance, "admin-token")),
  );
  const counter = await startCounter(steady);
  const member = etcd.members[2]!;
  await checkWatch(bound.kubectl.start, counter, 60, () =>
    checkWatch(free.kubectl.start, counter, 60, async () => {
      await countTo(counter, 10);
      member.signal("SIGSTOP");
      try {
        await countTo(counter, 50);
        const stop = new AbortController();
        const reading = readWhile(sendToFree!, counter, stop.signal);
        const { code, text } = await sendToBound!("GET", `${MAPS}/numbers`);
        assert.ok(code >= 500, `${code} ${text}`);
        assert.match((await sendToBound!("GET", "/readyz?verbose")).text, /\[-\]etcd failed/);
        await eventually("the free server has switched to another member", async () =>
          (await sendToFree!("GET", `${MAPS}/numbers`)).code === 200 || undefined);
        stop.abort();
        await reading;
      } finally {
        member.signal("SIGCONT");
      }
      const stop = new AbortController();
      const reading = [sendToBound!, sendToFree!].map((send) =>
        readWhile(send, counter, stop.signal)
      );
      await eventually("the bound server is ready", async () =>
        (await sendToBound!("GET", "/readyz")).code === 200 || undefined);
      await countTo(counter, 60);
      stop.abort();
      await Promise.all(reading);
    }));
});

test("a member that lags repeatedly: reads are never older than acknowledged writes", async () => {
  await using etcd = await startEtcd({ members: 3 });
  await using servers = await startThree(etcd);
  const [steady, bound, free] = servers.instances as [RunningInstance, RunningInstance, RunningInstance];
  const counter = await startCounter(steady);
  const member = etcd.members[2]!;
  const stop = new AbortController();
  const reading = [bound, free].map(async (instance) => {
    return await readWhile(await createApiClient(instance, "admin-token"), counter, stop.signal);
  });
  await checkWatch(bound.kubectl.start, counter, 200, async () => {
    for (let behind = 20; behind <= 200; behind += 20) {
      member.signal("SIGSTOP");
      await countTo(counter, behind - 5);
      member.signal("SIGCONT");
      await countTo(counter, behind);
    }
  });
  stop.abort();
  for (const codes of await Promise.all(reading)) {
    assert.ok(codes.filter((code) => code === 200).length > 10, `${codes}`);
  }
});

test("a member that is cut off together with its server: no stale data is served, and all events arrive in order afterwards", async () => {
  await using network = await createNetwork(1);
  const place = network.places[0]!;
  await using etcd = await startEtcd({ members: 3, places: [network.host, network.host, place] });
  const [one, two, isolated] = etcd.urls as [string, string, string];
  await using servers = await startServers([[one, two]], { tokens: TOKENS });
  const [steady] = servers.instances as [RunningInstance];
  const counter = await startCounter(steady);
  const dataDir = await copyAuthority(steady, "apart");
  const up = ["up", "--secure-port", "6443", "--data-dir", dataDir, "--etcd-servers", isolated];
  await using server = start(...place.wrap(...tlsbootCommand(up)));
  await server.waitFor(/tlsboot is up at/);
  const kubectl = (...args: readonly string[]) =>
    start(...place.wrap(peerPath("kubectl"), ["--kubeconfig", `${dataDir}/admin.kubeconfig`, ...args]), {
      env: { HOME: steady.folder.path },
    });
  const runKubectl = async (...args: readonly string[]) => {
    await using running = kubectl(...args);
    return await running.finished();
  };
  await checkWatch(kubectl, counter, 50, async (watch) => {
    await countTo(counter, 10);
    await watch.waitFor(/^10$/m);

    await network.disconnect(network.host, place);
    await countTo(counter, 40);
    for (const { path } of READS) {
      const { code, stdout } = await runKubectl("get", "--raw", path);
      assert.equal(code, 1, `${path} answered ${stdout}`);
    }
    assert.match((await runKubectl("get", "--raw", "/readyz?verbose")).stderr, /\[-\]etcd failed/);
    assert.doesNotMatch(watch.stdout(), /^11$/m);

    await network.reconnect(network.host, place);
    await eventually(
      "the server is ready again",
      async () => (await runKubectl("get", "--raw", "/readyz")).code === 0 || undefined,
    );
    const { stdout } = await runKubectl("get", "--raw", `${MAPS}/numbers`);
    assert.match(stdout, /"n":"40"/);
    await countTo(counter, 50);
  });
});
