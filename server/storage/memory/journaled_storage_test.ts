/** Tests writes that arrive while a commit is being written to the disk. */
import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { collect, describeEvents, thing } from "../../../tests/support/stored_things.ts";
import { createFakeClock } from "../../../tests/support/fake_clock.ts";
import { EMPTY_START, Engine, measureStored } from "./engine.ts";
import { createMemoryStorage, DEFAULT_STORAGE_TIMES, JournaledStorage } from "./journaled_storage.ts";
import { AlreadyExistsError, RevisionConflictError, type Write, WriteRefusedError } from "../storage.ts";
import { createStored } from "../stored.ts";

const PREFIX = "/registry/things/";
const FULL = "etcdserver: mvcc: database space exceeded";

/** Opens a store whose commits end when the test ends them. */
function openSlow(
  clock = createFakeClock(),
  engine = new Engine(EMPTY_START),
  quotaBytes?: number,
): { readonly storage: JournaledStorage; readonly commits: Commit[] } {
  const commits: Commit[] = [];
  const storage = new JournaledStorage({
    ...DEFAULT_STORAGE_TIMES,
    name: "slow",
    engine,
    quotaBytes,
    journal: {
      commit(changes) {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        commits.push({
          keys: changes.map(({ event }) => event.key.slice(PREFIX.length)),
          succeed: resolve,
          fail: reject,
        });
        return promise;
      },
      check() {},
      close: () => void commits.push({ keys: ["closed"], succeed() {}, fail() {} }),
    },
    clock,
    logger: undefined,
    writtenAt: new Map(),
    schedule: setImmediate,
  });
  return { storage, commits };
}

interface Commit {
  readonly keys: readonly string[];
  succeed(): void;
  fail(error: Error): void;
}

/** Returns the current state of a promise. */
function follow(promise: Promise<unknown>): () => string {
  let state = "waits";
  promise.then(() => state = "done", (error: Error) => state = error.message);
  return () => state;
}

test("JournaledStorage gathers the writes during a commit for the next, and shows none before they are committed", async () => {
  const { storage, commits } = openSlow();
  const first = storage.create(`${PREFIX}a`, thing("a", 1));
  await turn();
  const { events } = collect(storage, PREFIX, storage.revision());
  const updated = first.then(({ revision }) => storage.update(`${PREFIX}a`, thing("a", 2), revision));
  const second = storage.create(`${PREFIX}b`, thing("b"));
  const third = storage.create(`${PREFIX}c`, thing("c"));
  await turn();
  await turn();
  assert.deepEqual(commits.map(({ keys }) => keys), [["a"]]);
  assert.equal(await storage.get(`${PREFIX}a`), undefined);
  assert.deepEqual(events, []);

  commits[0]!.succeed();
  assert.equal((await first).revision, 2);
  await turn();
  await turn();
  assert.deepEqual(commits.map(({ keys }) => keys), [["a"], ["b", "c", "a"]]);
  assert.deepEqual(describeEvents(events), ["2 things/a ->2"]);
  assert.equal((await storage.get(`${PREFIX}a`))?.revision, 2);

  commits[1]!.succeed();
  assert.deepEqual((await Promise.all([second, third, updated])).map(({ revision }) => revision), [3, 4, 5]);
  assert.deepEqual(describeEvents(events).slice(1), ["3 things/b ->3", "4 things/c ->4", "5 things/a 2>5"]);
  await storage[Symbol.asyncDispose]();
});

test("JournaledStorage checks a write against the pending commit, and refuses it after that commit", async () => {
  const { storage, commits } = openSlow();
  const created = storage.create(`${PREFIX}a`, thing("a"));
  await turn();
  const again = storage.create(`${PREFIX}a`, thing("a"));
  const stale = storage.update(`${PREFIX}a`, thing("a"), 1);
  const states = [again, stale].map(follow);
  // Only the test knows the revision already.
  const next = storage.update(`${PREFIX}a`, thing("a", 2), 2);
  const early = storage.update(`${PREFIX}a`, thing("a", 3), 3);
  await turn();
  assert.deepEqual(states.map((state) => state()), ["waits", "waits"]);
  commits[0]!.succeed();
  await created;
  await assert.rejects(again, AlreadyExistsError);
  await assert.rejects(stale, (error) => {
    return error instanceof RevisionConflictError && error.retryable && error.current?.revision === 2;
  });
  await turn();
  await turn();
  commits[1]!.succeed();
  assert.deepEqual([(await next).revision, (await early).revision], [3, 4]);
  await storage[Symbol.asyncDispose]();
});

test("JournaledStorage checks a write of another key against the committed state during a commit", async () => {
  const { storage, commits } = openSlow();
  const [a, , c] = ["a", "b", "c"].map((name) => storage.create(PREFIX + name, thing(name)));
  await turn();
  commits[0]!.succeed();
  await Promise.all([a, c]);
  const committing = storage.update(`${PREFIX}a`, thing("a", 2), 2);
  await turn();
  const states = [
    storage.create(`${PREFIX}b`, thing("b")),
    storage.update(`${PREFIX}b`, thing("b", 2), 3),
    storage.delete(`${PREFIX}c`, 4),
    storage.transact([]),
  ].map(follow);
  await turn();
  const exists = `cannot create "${PREFIX}b": the key exists`;
  assert.deepEqual(states.map((state) => state()), [exists, "waits", "waits", "done"]);
  commits[1]!.succeed();
  await committing;
  await turn();
  await turn();
  commits[2]!.succeed();
  await turn();
  assert.deepEqual(states.map((state) => state()), [exists, "done", "done", "done"]);
  assert.deepEqual(commits.map(({ keys }) => keys), [["a", "b", "c"], ["a"], ["b", "c"]]);
  await storage[Symbol.asyncDispose]();
});

test("JournaledStorage counts the writes of the running and the next commit towards its quota", async () => {
  const size = measureStored(createStored(`${PREFIX}a`, thing("a"), 2));
  const { storage, commits } = openSlow(undefined, undefined, 3 * size);
  const create = (name: string) => storage.create(PREFIX + name, thing(name));
  const states = [follow(create("a"))];
  await turn();
  states.push(follow(create("b")), follow(create("c")), follow(create("d")));
  await turn();
  assert.deepEqual(states.map((state) => state()), ["waits", "waits", "waits", FULL]);
  commits[0]!.succeed();
  await turn();
  await turn();
  commits[1]!.succeed();
  await turn();
  assert.deepEqual(states.map((state) => state()), ["done", "done", "done", FULL]);
  await storage[Symbol.asyncDispose]();
});

test("JournaledStorage allows updates beyond its quota by a sixteenth, and always those that need no more room", async () => {
  const empty = measureStored(createStored(`${PREFIX}a`, thing("a", ""), 2));
  const sized = (bytes: number) => thing("a", "x".repeat(bytes - empty));
  const engine = new Engine(EMPTY_START);
  /** Makes one write to a store with this quota. */
  const write = async (quotaBytes: number, ...writes: readonly Write[]): Promise<void> => {
    const { storage, commits } = openSlow(undefined, engine, quotaBytes);
    const [written] = await Promise.allSettled([storage.transact(writes), turn().then(() => commits[0]?.succeed())]);
    await storage[Symbol.asyncDispose]();
    if (written.status === "rejected") throw written.reason;
  };
  const isFull = (error: unknown) => error instanceof WriteRefusedError && error.why === "full";
  const key = `${PREFIX}a`;
  const update = (bytes: number): Write => ({
    kind: "update",
    key,
    object: sized(bytes),
    expectedRevision: engine.revision,
  });
  await assert.rejects(write(1_599, { kind: "create", key, object: sized(1_600) }), isFull);
  await write(1_600, { kind: "create", key, object: sized(1_600) });
  await assert.rejects(write(1_600, update(1_701)), isFull);
  await write(1_600, update(1_700));
  await assert.rejects(write(1_600, { kind: "create", key: `${PREFIX}b`, object: thing("b") }), isFull);
  await assert.rejects(write(500, update(1_701)), isFull);
  await write(500, update(1_700));
  await write(500, update(1_699));
  assert.equal(engine.bytes, 1_699);
  await write(500, { kind: "delete", key, expectedRevision: engine.revision });
  assert.equal(engine.bytes, 0);
});

test("JournaledStorage fails the writes that were checked against a failed commit, shows none of it, and keeps working", async () => {
  const { storage, commits } = openSlow();
  const created = storage.create(`${PREFIX}a`, thing("a"));
  await turn();
  const meanwhile = storage.update(`${PREFIX}a`, thing("a", 2), 2);
  const refused = storage.create(`${PREFIX}a`, thing("a"));
  const states = [created, meanwhile, refused].map(follow);
  commits[0]!.fail(new Error("no space"));
  await turn();
  await turn();
  assert.deepEqual(states.map((state) => state()), ["no space", "no space", "no space"]);
  assert.equal(commits.length, 1);
  assert.equal(await storage.get(`${PREFIX}a`), undefined);
  const retried = storage.create(`${PREFIX}a`, thing("a"));
  await turn();
  commits[1]!.succeed();
  assert.equal((await retried).revision, 4, "the revisions of failed writes are not used again");
  await storage[Symbol.asyncDispose]();
});

test("JournaledStorage acknowledges a durable write even if an unexpected error follows", async () => {
  const engine = new Engine(EMPTY_START);
  const { storage, commits } = openSlow(createFakeClock(), engine);
  engine.apply = () => {
    throw new Error("a bug");
  };
  const created = storage.create(`${PREFIX}a`, thing("a"));
  await turn();
  const closed = assert.rejects(storage[Symbol.asyncDispose](), /^Error: a bug$/);
  commits[0]!.succeed();
  assert.equal((await created).revision, 2);
  await closed;
});

test("JournaledStorage commits every requested write before it closes", async () => {
  const { storage, commits } = openSlow();
  const first = storage.create(`${PREFIX}a`, thing("a"));
  await turn();
  const second = storage.create(`${PREFIX}b`, thing("b"));
  const closed = storage[Symbol.asyncDispose]();
  await turn();
  assert.deepEqual(commits.map(({ keys }) => keys), [["a"]]);
  commits[0]!.succeed();
  await first;
  await turn();
  await turn();
  commits[1]!.succeed();
  await Promise.all([second, closed]);
  assert.deepEqual(commits.map(({ keys }) => keys), [["a"], ["b"], ["closed"]]);
});

test("JournaledStorage releases the object of a replaced state", async () => {
  const storage = createMemoryStorage({ clock: createFakeClock() });
  const first = await storage.create(`${PREFIX}a`, thing("a"));
  assert.equal(first.object, first.object);
  const second = await storage.update(`${PREFIX}a`, thing("a", 2), first.revision);
  assert.notEqual(first.object, first.object, "it is read from its JSON each time");
  assert.equal(second.object, second.object);
  await storage[Symbol.asyncDispose]();
});

test("JournaledStorage.catchUp() resolves at once, and rejects after the store was closed", async () => {
  const { storage, commits } = openSlow();
  const created = storage.create(`${PREFIX}a`, thing("a"));
  await turn();
  await storage.catchUp();
  commits[0]!.succeed();
  await created;
  await storage[Symbol.asyncDispose]();
  await assert.rejects(storage.catchUp(), /it is closed/);
});

test("JournaledStorage is unhealthy while the disk does not answer", async () => {
  const clock = createFakeClock();
  clock.jump(60_000);
  const { storage, commits } = openSlow(clock);
  const created = storage.create(`${PREFIX}a`, thing("a"));
  await turn();
  clock.jump(10_000);
  await storage.health();
  clock.jump(2_000);
  await assert.rejects(storage.health(), /the disk has not answered for 12 s/);
  commits[0]!.succeed();
  await created;
  await storage.health();
  await storage[Symbol.asyncDispose]();
});
