/** Tests writes that arrive while a commit is being written to the disk. */
import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { collect, describeEvents, thing } from "../../../tests/support/stored_things.ts";
import { createFakeClock } from "../../../tests/support/fake_clock.ts";
import { EMPTY_START, Engine } from "./engine.ts";
import { DEFAULT_STORAGE_TIMES, JournaledStorage } from "./journaled_storage.ts";
import { AlreadyExistsError, RevisionConflictError } from "../storage.ts";

const PREFIX = "/registry/things/";

/** Opens a store whose commits end when the test ends them. */
function openSlow(
  clock = createFakeClock(),
  engine = new Engine(EMPTY_START),
): { readonly storage: JournaledStorage; readonly commits: Commit[] } {
  const commits: Commit[] = [];
  const storage = new JournaledStorage({
    ...DEFAULT_STORAGE_TIMES,
    name: "slow",
    engine,
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
  await assert.rejects(stale, (error) => error instanceof RevisionConflictError && error.current?.revision === 2);
  await turn();
  await turn();
  commits[1]!.succeed();
  assert.deepEqual([(await next).revision, (await early).revision], [3, 4]);
  await storage[Symbol.asyncDispose]();
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

test("JournaledStorage is unhealthy while the disk does not answer", async () => {
  const clock = createFakeClock();
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
