import assert from "node:assert/strict";
import { test } from "node:test";
import { clearImmediate, setImmediate } from "node:timers";
import { thing } from "../../tests/support/stored_things.ts";
import { createFakeAfter } from "../../tests/support/fake_after.ts";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createStoredChanges, followResource, type ResourceFollower, Watchers } from "./follow.ts";
import { getName, type KubeObject } from "../../core/kube/meta.ts";
import { createMemoryStorage } from "./memory/journaled_storage.ts";
import { CompactedError, type StorageEvent, type StorageListOptions } from "./storage.ts";
import { createStored } from "./stored.ts";

const PREFIX = "/registry/things/";

/** Follows a store whose watches the test can end, and records what the follower receives. */
async function follow() {
  const storage = createMemoryStorage({ clock: createFakeClock() });
  await storage.create(`${PREFIX}a`, thing("a"));
  const seen: string[] = [];
  let lose = (_error: CompactedError): void => {};
  const faults: Error[] = [];
  const list = async (prefix: string, options?: StorageListOptions) => {
    const fault = faults.shift();
    if (fault !== undefined) throw fault;
    return await storage.list(prefix, options);
  };
  const timers = createFakeAfter();
  const { after, advance } = timers;
  const logger = createMemoryLogger();
  const store: Parameters<typeof followResource>[0] = {
    list,
    watch(prefix, afterRevision, onEvents, onLost) {
      const watch = storage.watch(prefix, afterRevision, onEvents);
      lose = (error) => {
        watch.stop();
        const watchers = new Watchers(logger);
        watchers.add(prefix, afterRevision, [], onEvents, onLost);
        watchers.loseAll(error);
      };
      return watch;
    },
  };
  const follower: ResourceFollower<KubeObject> = {
    clear: () => seen.push("clear"),
    added: (name, stored, change) => seen.push(`${change === undefined ? "" : "+"}${name}:${getName(stored.object)}`),
    removed: (name) => seen.push(`-${name}`),
    changed: () => seen.push("."),
  };
  const watch = await followResource(store, PREFIX, follower, after);
  const loseIt = () => lose(new CompactedError(1, 2));
  return { storage, store, seen, watch, faults, timers, advance, logger, follower, lose: loseIt };
}

/** Creates the event of a creation. */
function created(key: string, revision: number): StorageEvent {
  return { key, revision, current: createStored(key, thing(key), revision), previous: undefined };
}

test("Watchers delivers to each watch the events of its prefix that it has not seen", () => {
  const watchers = new Watchers(undefined);
  const seen: string[] = [];
  const record = (name: string) => (events: readonly StorageEvent[]) =>
    void seen.push(`${name}: ${events.map(({ key, revision }) => `${key}@${revision}`).join()}`);
  const missed = [created("/a/1", 1), created("/b/1", 2), created("/a/2", 3)];
  watchers.add("/a/", 1, missed, record("late"));
  assert.deepEqual(seen.splice(0), ["late: /a/2@3"]);
  watchers.add("/a/", 3, missed, record("current"));
  watchers.add("/a/2", 0, [], record("one"));
  watchers.notify([created("/a/2", 3), created("/b/2", 4), created("/a/2", 5)]);
  assert.deepEqual(seen, ["late: /a/2@3,/a/2@5", "current: /a/2@5", "one: /a/2@3,/a/2@5"]);
});

test("Watchers delivers nothing to a watch that was stopped, and goes on for the others of its prefix", () => {
  const watchers = new Watchers(undefined);
  const seen: string[] = [];
  const add = (name: string, prefix: string, act = () => {}) =>
    watchers.add(prefix, 0, [], () => {
      seen.push(name);
      act();
    });
  const first = add("first", "/a/", () => second.stop());
  const second = add("second", "/a/");
  const other = add("other", "/b/");
  const deeper = add("deeper", "/a/1/");
  watchers.notify([created("/a/1/x", 1), created("/b/1", 1)]);
  assert.deepEqual(seen.splice(0).sort(), ["deeper", "first", "other"], "first stopped second");
  for (const watch of [first, first, second]) watch.stop();
  const again = add("again", "/a/");
  first.stop();
  watchers.notify([created("/a/1/x", 2), created("/b/1", 2)]);
  assert.deepEqual(seen.splice(0).sort(), ["again", "deeper", "other"]);
  for (const watch of [again, other, deeper]) watch.stop();
  watchers.notify([created("/a/1/x", 3), created("/b/1", 3)]);
  assert.deepEqual(seen, []);
});

test("Watchers looks up a change once for each length of the prefixes of running watches", () => {
  const watchers = new Watchers(undefined);
  const seen: string[] = [];
  const countLookUps = (): number => {
    let count = 0;
    watchers.notify([{
      revision: 2,
      get key() {
        count++;
        return "/aa/x";
      },
    }]);
    return count;
  };
  const watches = ["/a/", "/aa/", "/aa/", "/bb/", "/aa/x"].map((prefix) =>
    watchers.add(prefix, 1, [], () => void seen.push(prefix))
  );
  assert.equal(countLookUps(), 3);
  assert.deepEqual(seen.splice(0), ["/aa/", "/aa/", "/aa/x"]);
  for (const index of [0, 1, 3]) watches[index]!.stop();
  assert.equal(countLookUps(), 2);
  assert.deepEqual(seen.splice(0), ["/aa/", "/aa/x"], "another watch of the same length or prefix goes on");
  for (const { stop } of watches) stop();
  assert.equal(countLookUps(), 0);
});

test("Watchers logs the error of a listener, and delivers to the others", () => {
  const logger = createMemoryLogger();
  const watchers = new Watchers(logger);
  watchers.add("/a/", 0, [], () => {
    throw new Error("a bug");
  });
  let delivered = 0;
  watchers.add("/a/", 0, [], () => void delivered++);
  watchers.notify([created("/a/1", 1)]);
  assert.equal(delivered, 1);
  assert.deepEqual(logger.entries.map(({ message, fields }) => [message, fields.error]), [[
    "storage watcher threw",
    "a bug",
  ]]);
});

for (const end of ["stopAll", "loseAll"] as const) {
  test(`Watchers.${end}() ends every watch, also one whose events are being delivered`, async () => {
    const watchers = new Watchers(undefined);
    const seen: string[] = [];
    const stop = () => end === "stopAll" ? watchers.stopAll() : watchers.loseAll(new CompactedError(1, 2));
    const lost = () => void seen.push("lost");
    watchers.add("/a/", 0, [], () => {
      seen.push("first");
      stop();
    }, lost);
    watchers.add("/a/", 0, [], () => void seen.push("second"), lost);
    watchers.notify([created("/a/1", 1)]);
    watchers.notify([created("/a/1", 2)]);
    watchers.loseAll(new CompactedError(1, 2));
    await settle();
    assert.deepEqual(seen, ["first", ...(end === "loseAll" ? ["lost", "lost"] : [])]);
  });
}

test("followResource() reads what there is, follows its changes, and reads again when the watch is lost", async () => {
  const { storage, seen, watch, faults, advance, lose } = await follow();
  const { revision } = await storage.create(`${PREFIX}b`, thing("b"));
  assert.deepEqual(seen, ["clear", "a:a", ".", "+b:b", "."]);
  await storage.delete(`${PREFIX}b`, revision);
  assert.deepEqual(seen.splice(0), ["clear", "a:a", ".", "+b:b", ".", "-b", "."]);
  faults.push(new Error("not now"));
  lose();
  await advance(1_000);
  await storage.create(`${PREFIX}c`, thing("c"));
  watch.stop();
  await storage.create(`${PREFIX}d`, thing("d"));
  assert.deepEqual(seen, ["clear", "a:a", ".", "+c:c", "."]);
});

test("followResource() tries again when it cannot read again or its follower throws, and the store logs why", async () => {
  for (const why of ["not now", "a bug"]) {
    const { seen, faults, follower, advance, lose, logger } = await follow();
    const { added } = follower;
    if (why === "not now") faults.push(new Error(why), new Error(why));
    else {
      follower.added = () => {
        throw new Error(why);
      };
    }
    lose();
    await settle();
    assert.deepEqual(logger.entries.map(({ message, fields }) => [message, fields.error]), [[
      "storage watcher cannot begin again",
      why,
    ]]);
    await advance(1_000);
    follower.added = added;
    seen.length = 0;
    await advance(1_000);
    assert.deepEqual(seen, ["clear", "a:a", "."]);
    assert.equal(logger.entries.length, 1);
  }
});

test("followResource() reads nothing after it was stopped, even if a watch is lost", async () => {
  for (const when of ["it reads again", "it waits to try again", "it follows"]) {
    const { seen, watch, faults, timers, advance, lose } = await follow();
    if (when === "it waits to try again") faults.push(new Error("not now"));
    if (when !== "it follows") lose();
    if (when === "it waits to try again") await settle();
    watch.stop();
    assert.equal(timers.pending, 0, "no timer keeps the process running");
    faults.push(new Error("a read"));
    if (when === "it follows") lose();
    await advance(1_000);
    assert.deepEqual(seen, ["clear", "a:a", "."]);
    assert.equal(faults.length, 1);
  }
});

test("createStoredChanges() delivers existing objects, each change, and after a lost watch the missed changes", async () => {
  const { storage, store, watch, lose } = await follow();
  watch.stop();
  const abort = new AbortController();
  let isReady = Promise.resolve();
  const list: typeof store.list = (...page) => isReady.then(() => store.list(...page));
  const changes = createStoredChanges({ ...store, list }, PREFIX).changes(abort.signal)[Symbol.asyncIterator]();
  const sees = async (...wanted: readonly string[]): Promise<void> => {
    for (const text of wanted) {
      const { value } = await changes.next();
      assert.equal(value.kind === "synced" ? "synced" : `${value.kind} ${getName(value.object)}`, text);
    }
  };
  await sees("changed a", "synced");
  const { revision } = await storage.create(`${PREFIX}b`, thing("b"));
  await storage.create(`${PREFIX}c`, thing("c"));
  await sees("changed b", "changed c");
  await storage.delete(`${PREFIX}b`, revision);
  await sees("deleted b");
  const { revision: written } = await storage.update(`${PREFIX}c`, thing("c"), revision + 1);
  await sees("changed c");
  const ready = Promise.withResolvers<void>();
  isReady = ready.promise;
  lose();
  await storage.delete(`${PREFIX}c`, written);
  ready.resolve();
  await sees("changed a", "deleted c", "synced");
  const end = changes.next();
  abort.abort(new Error("enough"));
  await assert.rejects(end, /enough/);
});

test("createStoredChanges() lets the server work between many changes", async () => {
  const storage = createMemoryStorage({ clock: createFakeClock() });
  const names = Array.from({ length: 300 }, (_, index) => `n${index}`);
  await Promise.all(names.map((name) => storage.create(`${PREFIX}${name}`, thing(name))));
  const seen = new Set<string>();
  let turns = 0;
  let next: NodeJS.Immediate | undefined;
  const work = (): void => {
    turns++;
    next = setImmediate(work);
  };
  for await (const change of createStoredChanges(storage, PREFIX).changes(new AbortController().signal)) {
    if (change.kind === "synced") break;
    if (seen.size === 0) work();
    seen.add(getName(change.object));
  }
  clearImmediate(next);
  assert.deepEqual([seen.size, turns > 1, turns < 10], [300, true, true], `${turns} turns`);
});

test("createStoredChanges() stops its watch when its reader leaves, and reads nothing for a reader that has left", async () => {
  const { storage, store } = await follow();
  await storage.create(`${PREFIX}b`, thing("b"));
  let [lists, watches] = [0, 0];
  const counted: typeof store = {
    list(...page) {
      lists++;
      return store.list(...page);
    },
    watch(...options) {
      const watch = store.watch(...options);
      watches++;
      return {
        stop() {
          watches--;
          watch.stop();
        },
      };
    },
  };
  for await (const _change of createStoredChanges(counted, PREFIX).changes(new AbortController().signal)) {
    assert.equal(watches, 1);
    break;
  }
  const abort = new AbortController();
  const changes = createStoredChanges(counted, PREFIX).changes(abort.signal)[Symbol.asyncIterator]();
  await changes.next();
  abort.abort(new Error("enough"));
  // Another change is waiting, but no one wants it.
  await assert.rejects(changes.next(), /enough/);
  assert.deepEqual([lists, watches], [2, 0]);
  const late = createStoredChanges(counted, PREFIX).changes(abort.signal)[Symbol.asyncIterator]();
  await assert.rejects(late.next(), /enough/);
  assert.equal(lists, 2);
});
