/**
 * The storage contract against the newest and the oldest supported etcd, and transactions of several stores and with a
 * killed member.
 */
import assert from "node:assert/strict";
import type { Buffer } from "node:buffer";
import { after, before, test } from "node:test";
import { createSecureContext } from "node:tls";
import { createSystemClock } from "../../cli/system.ts";
import { isAppError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { GrpcChannel, type GrpcServer } from "../../server/storage/etcd/grpc.ts";
import { openEtcdStorage } from "../../server/storage/etcd/storage.ts";
import type { Storage } from "../../server/storage/storage.ts";
import { type OpenStorage, SHARED, testStorage } from "../contract/storage_contract.ts";
import { collect, creations, JSON_VALUES, readContent, thing } from "../support/stored_things.ts";
import { testStorageModel } from "../contract/storage_model.ts";
import { eventually } from "../support/eventually.ts";
import { type Etcd, startEtcd } from "../support/interop/etcd.ts";

/** Deletes and compacts everything, so that each test starts with an empty history. */
async function empty(etcd: Etcd): Promise<void> {
  const [member] = etcd.members;
  await member!.call("kv/deleterange", { key: btoa("/"), range_end: btoa("0") });
  await member!.compact(await member!.revision()).catch(() => undefined);
}

async function openStore(
  { urls }: Etcd,
  clock: Clock = createSystemClock(),
  members?: readonly GrpcServer[],
): Promise<Storage> {
  const { storage } = await openEtcdStorage({
    ...(members === undefined ? {} : { members }),
    endpoints: { servers: urls, caPem: undefined, certificate: undefined, prefix: "/registry" },
    values: JSON_VALUES,
    clock,
    compactionIntervalMs: 0,
  });
  return storage;
}

for (const release of ["etcd", "etcd-3.5"] as const) {
  let etcd: Etcd;
  before(async () => void (etcd = await startEtcd({ releases: [release] })));
  after(() => etcd[Symbol.asyncDispose]());

  const openEtcd: OpenStorage = async (clock) => {
    await empty(etcd);
    const storage = await openStore(etcd, clock);
    return { storage, [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose]() };
  };
  testStorage(`openEtcdStorage() on ${release}`, openEtcd, SHARED);
  testStorageModel(`openEtcdStorage() on ${release}`, openEtcd, 10, 1);
}

const HEAD = "/registry/heads/head";
/** More attempts than there can be conflicts. */
const MAX_ATTEMPTS = 1_000;

/** Appends records to a chain whose head is another object, and retries after a conflict. */
async function append(storage: Storage, writer: string, count: number): Promise<void> {
  for (let done = 0, attempt = 1; done < count; attempt++) {
    assert.ok(attempt < MAX_ATTEMPTS, "the chain cannot be continued");
    const head = (await storage.get(HEAD))!;
    const next = Number(head.object["value" as never]) + 1;
    try {
      const [record, moved] = await storage.transact([
        { kind: "create", key: `/registry/records/${String(next).padStart(4, "0")}`, object: thing(writer, next) },
        { kind: "update", key: HEAD, object: thing("head", next), expectedRevision: head.revision },
      ]);
      assert.equal(record?.revision, moved?.revision);
      assert.ok((await storage.get(HEAD))!.revision >= moved!.revision);
      done++;
    } catch (error) {
      if (!isAppError(error, "conflict", "already_exists")) throw error;
    }
  }
}

test("two stores on one etcd append to a chain without a gap or a duplicate, and both see all of it", async () => {
  await using etcd = await startEtcd();
  await using one = await openStore(etcd);
  await using two = await openStore(etcd);
  await one.create(HEAD, thing("head", 0));
  const watched = collect(two, "/registry/", one.revision());
  const writers = [one, two, one, two].map((storage, index) => append(storage, `writer-${index}`, 25));
  await Promise.all(writers);
  await two.catchUp();
  for (const storage of [one, two]) {
    const { items } = await storage.list("/registry/records/");
    assert.deepEqual(items.map(({ object }) => object["value" as never]), Array.from({ length: 100 }, (_, i) => i + 1));
    const writersOfRecords = items.map(({ object }) => object.metadata.name);
    for (const index of [0, 1, 2, 3]) {
      assert.equal(writersOfRecords.filter((name) => name === `writer-${index}`).length, 25);
    }
    assert.equal((await storage.get(HEAD))!.object["value" as never], 100);
  }
  // A record and its new head arrive together.
  const revisions = watched.events.map(({ revision }) => revision);
  assert.equal(revisions.length, 200);
  for (let index = 0; index < 200; index += 2) assert.equal(revisions[index], revisions[index + 1]);
});

test("a transaction is complete or absent when etcd is killed at any moment", async () => {
  await using etcd = await startEtcd();
  await using storage = await openStore(etcd);
  const [member] = etcd.members;
  const acknowledged: string[] = [];
  let refused = 0;
  for (let round = 0; round < 4; round++) {
    const names = Array.from({ length: 200 }, (_, index) => `r${round}-${index}`);
    const outcomes = names.map((name) =>
      storage.transact(creations(name)).then(() => acknowledged.push(name), (error: unknown) => {
        assert.ok(isAppError(error, "unreachable"), String(error));
        refused++;
      })
    );
    await Promise.race(outcomes);
    await member!.kill();
    await Promise.all(outcomes);
    member!.restart();
    await eventually("the store to have etcd again", () => storage.health().then(() => true, () => undefined));
  }
  assert.ok(refused > 0);
  await using again = await openStore(etcd);
  const keys = await readContent(again);
  const found = [...keys.keys()].filter((key) => key.startsWith("/registry/things/")).map((key) => key.slice(17));
  assert.equal(keys.size, 3 * found.length);
  for (const name of found) for (const { key } of creations(name)) assert.ok(keys.has(key), key);
  for (const name of acknowledged) assert.ok(found.includes(name), name);
});

/** Connects to an etcd so that the test can delay the messages of watches. */
function connectHolding(url: string) {
  const channel = new GrpcChannel(new URL(url), createSecureContext());
  let held: (() => void)[] | undefined;
  const server: GrpcServer = {
    begin(path, message, listener, isOpen) {
      const onMessage = (bytes: Buffer) => {
        if (isOpen && held !== undefined) held.push(() => listener.onMessage(bytes));
        else listener.onMessage(bytes);
      };
      return channel.begin(path, message, { onMessage, onEnd: (error) => listener.onEnd(error) }, isOpen);
    },
    close: () => channel.close(),
  };
  return {
    server,
    hold: () => void (held = []),
    release() {
      const waiting = held ?? [];
      held = undefined;
      for (const deliver of waiting) deliver();
    },
  };
}

test("a store whose watch is delayed answers its own writes, and waits only for those of other stores", async () => {
  await using etcd = await startEtcd();
  const connection = connectHolding(etcd.urls[0]!);
  await using storage = await openStore(etcd, undefined, [connection.server]);
  await using other = await openStore(etcd);
  const { events } = collect(storage, "/registry/", storage.revision());
  const names = (prefix: string) => Array.from({ length: 32 }, (_, index) => `${prefix}${index}`);
  connection.hold();
  const first = await Promise.all(names("a").map((name) => storage.create(`/registry/things/${name}`, thing(name))));
  assert.deepEqual(events.map(({ revision }) => revision), first.map(({ revision }) => revision).sort((a, b) => a - b));
  await storage.delete(first[0]!.key, first[0]!.revision);
  assert.equal(events.length, 33);

  const foreign = await other.create("/registry/things/foreign", thing("foreign"));
  const second = names("b").map((name) => storage.create(`/registry/things/${name}`, thing(name)));
  await eventually(
    "etcd to have every write",
    async () => (await etcd.members[0]!.revision()) === foreign.revision + 32 || undefined,
  );
  assert.equal(events.length, 33);
  connection.release();
  await Promise.all(second);
  await other.catchUp();
  for (const store of [storage, other]) assert.equal((await store.list("/registry/things/")).items.length, 64);
  const revisions = events.map(({ revision }) => revision);
  assert.deepEqual(revisions, Array.from({ length: 66 }, (_, index) => revisions[0]! + index));
});
