/** Tests that the simulated etcd keeps the promises of a store, with the real client, mirror and storage. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { isAppError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { EtcdClient } from "../../server/storage/etcd/client.ts";
import { openEtcdStorage } from "../../server/storage/etcd/storage.ts";
import { EtcdRestore } from "../../server/storage/etcd/restore.ts";
import { createStored } from "../../server/storage/stored.ts";
import { type OpenStorage, SHARED, testStorage } from "../contract/storage_contract.ts";
import { findCompactedRevision, JSON_VALUES, readContent, thing } from "../support/stored_things.ts";
import { testStorageModel } from "../contract/storage_model.ts";
import { createFakeAfter, createRealAfter } from "../support/fake_after.ts";
import { createFakeClock, until } from "../support/fake_clock.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import type { ModelOperation } from "./etcd_messages.ts";
import { EtcdModel } from "./etcd_model.ts";
import { EtcdStore } from "./etcd_store.ts";

const ENDPOINTS = { servers: ["etcd"], caPem: undefined, certificate: undefined, prefix: "/registry" };

function openOn(members: number): OpenStorage {
  return async (clock: Clock) => {
    const timers = createRealAfter();
    const model = new EtcdModel({ members, after: timers.after, random: createSeededRandom().float });
    const { storage } = await openEtcdStorage({
      endpoints: { ...ENDPOINTS, prefix: members === 1 ? "/registry" : "/shared/registry" },
      members: model.connect("server"),
      values: JSON_VALUES,
      clock,
      compactionIntervalMs: 0,
    });
    return {
      storage,
      async [Symbol.asyncDispose]() {
        await storage[Symbol.asyncDispose]();
        timers[Symbol.dispose]();
      },
    };
  };
}

for (const members of [1, 3]) {
  testStorage(`openEtcdStorage() on a simulated etcd of ${members}`, openOn(members), SHARED);
  testStorageModel(`openEtcdStorage() on a simulated etcd of ${members}`, openOn(members), 10, 1);
}

test("openEtcdStorage() of several servers compacts revisions older than an interval, once per interval", async () => {
  using timers = createRealAfter();
  const model = new EtcdModel({ after: timers.after, random: createSeededRandom().float });
  const clock = createFakeClock();
  const open = async (compactionIntervalMs: number) => {
    const members = model.connect("server");
    const deps = { endpoints: ENDPOINTS, members, values: JSON_VALUES, clock, compactionIntervalMs };
    return (await openEtcdStorage(deps)).storage;
  };
  await using one = await open(60_000);
  await using _other = await open(60_000);
  const compacted: number[] = [];
  for (const name of ["a", "b", "c"]) {
    await one.create(`/registry/things/${name}`, thing(name));
    await clock.advance(60_000);
    await until(() => clock.sleepers === 2);
    await using late = await open(0);
    assert.deepEqual((await late.list("/registry/things/")).items, (await one.list("/registry/things/")).items);
    compacted.push(findCompactedRevision(late));
  }
  assert.deepEqual(compacted, [0, 3, 5]);
});

test("EtcdRestore writes a backup into an empty prefix, continues where it stopped, and moves existing data aside only with force", async () => {
  using timers = createRealAfter();
  const model = new EtcdModel({ after: timers.after, random: createSeededRandom().float });
  const deps = { endpoints: ENDPOINTS, values: JSON_VALUES, clock: createFakeClock() };
  const backup = { backup: "one", createdAt: "2026-01-01T00:00:00Z", force: false };
  const restore = (more: Partial<typeof backup> = {}) =>
    EtcdRestore.open({ ...deps, ...backup, ...more, members: model.connect("restore") });
  const open = async () =>
    (await openEtcdStorage({ ...deps, members: model.connect("server"), compactionIntervalMs: 0 })).storage;
  const keys = ["things/a", "things/b", "events/default/c"].map((path) => `/registry/${path}`);
  const objects = () => keys.map((key) => createStored(key, thing(key.at(-1)!), 1));
  const refuses = (opening: Promise<EtcdRestore>, code: string, message: RegExp) =>
    assert.rejects(opening, (error) => isAppError(error) && error.code === code && message.test(error.message));
  {
    await using first = await restore();
    await first.write(objects().slice(0, 1));
    assert.equal(first.isResumed, false);
    await assert.rejects(open(), (error) => isAppError(error, "storage_corrupt"));
    await refuses(restore({ backup: "two" }), "file_exists", /restore of the backup of 2026-01-01/);

    await using again = await restore();
    assert.equal(again.isResumed, true);
    const { revision, aside } = await again.write(objects());
    await assert.rejects(first.finish(), (error) => isAppError(error, "conflict"));
    await again.finish();
    await using storage = await open();
    assert.deepEqual([...(await readContent(storage)).keys()], keys.toSorted());
    assert.deepEqual([findCompactedRevision(storage), aside], [revision, []]);
    const spec = { holderIdentity: "server", renewTime: deps.clock.now().toISOString() };
    const held = await storage.create("/registry/leases/kube-system/a", Object.assign(thing("a"), { spec }));
    await refuses(restore(), "file_exists", /there are already keys/);
    await refuses(restore({ force: true }), "storage_locked", /"server" has renewed/);
    await storage.delete(held.key, held.revision);
  }
  await using forced = await restore({ force: true });
  const { aside } = await forced.write(objects().slice(1, 2));
  await forced.finish();
  assert.equal(aside.length, 1);
  await using storage = await open();
  assert.deepEqual([...(await readContent(storage)).keys()], keys.slice(1, 2));
});

test("EtcdRestore refuses concurrent writes of another program, and a prefix that they have spoiled", async () => {
  using timers = createRealAfter();
  const model = new EtcdModel({ after: timers.after, random: createSeededRandom().float });
  const client = new EtcdClient(ENDPOINTS, undefined, { members: model.connect("other") });
  const deps = { endpoints: ENDPOINTS, values: JSON_VALUES, clock: createFakeClock(), backup: "one", force: false };
  const restore = () =>
    EtcdRestore.open({ ...deps, createdAt: "2026-01-01T00:00:00Z", members: model.connect("restore") });
  const fails = (what: Promise<unknown>, code: string, message: RegExp) =>
    assert.rejects(what, (error) => isAppError(error) && error.code === code && message.test(error.message));
  const [key, value] = ["/registry/things/a", Buffer.from("{}")];
  await using running = await restore();
  await client.write([{ key, guard: { modRevision: 0 }, value }]);
  await fails(running.write([createStored(key, thing("a"), 1)]), "conflict", /is not what the backup has/);
  await fails(running.write([]), "conflict", /is not what the backup has/);
  await fails(restore(), "file_exists", /another program wrote while/);
  client.close();
});

test("EtcdStore keeps the change at the compacted revision, because a watch may begin with it", () => {
  const store = new EtcdStore();
  const perform = (operation: ModelOperation) => store.transact({ guards: [], success: [operation], failure: [] });
  perform({ kind: "put", key: "a", value: Buffer.from("1"), lease: 0n });
  perform({ kind: "put", key: "b", value: Buffer.from("2"), lease: 0n });
  perform({ kind: "delete", key: "a" });
  const { revision } = store.view;
  store.compact(revision);
  store.forgetBefore(revision);
  const [deletion, ...others] = store.changes("a", "z", revision - 1, revision);
  assert.deepEqual([deletion?.isDeletion, deletion?.kv.key, others.length], [true, "a", 0]);
  assert.deepEqual(store.changes("a", "z", 0, revision - 1), []);
});

test("EtcdModel keeps acknowledged writes and serves current reads, whatever fails", async () => {
  const { after, advance } = createFakeAfter();
  const { float } = createSeededRandom(3);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(float() * items.length)]!;
  const model = new EtcdModel({ members: 3, after, random: float });
  const client = new EtcdClient(ENDPOINTS, undefined, { members: model.connect("server"), after });
  const places = [...model.members, "server"];
  const down = new Set<string>();
  const acknowledged = new Set<string>();
  let unknown = 0;
  let stale = 0;
  let failedReads = 0;
  const read = async () => {
    const before = [...acknowledged];
    const { kvs } = await client.range({ key: "/registry/k", below: "/registry/k" });
    const keys = new Set(kvs.map(({ key }) => key));
    if (!before.every((key) => keys.has(key))) stale++;
  };
  for (let round = 0; round < 400; round++) {
    const member = pick(model.members);
    switch (
      pick([
        "none",
        "none",
        "none",
        "cut",
        "heal",
        "heal",
        "heal",
        "heal",
        "crash",
        "restart",
        "restart",
        "move",
        "lose",
        "slow",
      ])
    ) {
      case "cut":
        model.cut(member, pick(places.filter((place) => place !== member)));
        break;
      case "heal":
        for (const place of places) if (place !== member) model.heal(member, place);
        break;
      case "crash":
        if (!down.has(member)) model.crash(member);
        down.add(member);
        break;
      case "restart":
        if (down.delete(member)) model.restart(member);
        break;
      case "move":
        model.moveLeader();
        break;
      case "lose":
        model.loseAnswers("server", 1);
        break;
      case "slow":
        model.slow(member, pick([undefined, 5_000]));
    }
    const key = `/registry/k${round}`;
    client.write([{ key, guard: { modRevision: 0 }, value: Buffer.from("v") }]).then(
      () => acknowledged.add(key),
      (error) => {
        assert.ok(isAppError(error, "unreachable"), String(error));
        unknown++;
      },
    );
    read().catch(() => failedReads++);
    await advance(pick([1, 20, 500, 3_000]));
  }
  for (const one of places) for (const other of places) model.heal(one, other);
  for (const member of down) model.restart(member);
  for (const member of model.members) model.slow(member);
  await advance(30_000);
  const all = read();
  await advance(5_000);
  await all;
  assert.equal(stale, 0);
  assert.ok(
    acknowledged.size > 50 && unknown > 50 && failedReads > 20,
    `${acknowledged.size} ${unknown} ${failedReads}`,
  );
  assert.ok(model.term > 10);
  const stored = model.store.range({
    key: "/registry/k",
    rangeEnd: "/registry/l",
    limit: 0,
    revision: 0,
    countOnly: true,
  });
  assert.ok(stored.count > acknowledged.size, "some writes took place without an answer");
  client.close();
});
