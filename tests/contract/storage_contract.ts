/** The tests that every implementation of Storage must pass. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isAppError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import {
  AlreadyExistsError,
  CompactedError,
  RevisionConflictError,
  type Storage,
  type StorageEvent,
  type StoragePage,
  type Stored,
  type Write,
  WriteRefusedError,
} from "../../server/storage/storage.ts";
import { CLOCK_JUMPS, createFakeClock, until } from "../support/fake_clock.ts";
import {
  collect,
  creations,
  describeEvents,
  findCompactedRevision,
  readContent,
  thing,
} from "../support/stored_things.ts";

/** An empty store that is removed at the end of the scope. */
export interface OpenedStorage extends AsyncDisposable {
  readonly storage: Storage;
  /** Closes and reopens a persistent store; `storage` is then the new one. */
  reopen?(): Promise<void>;
}

/** Opens an empty store with five minutes of history. */
export type OpenStorage = (clock: Clock) => Promise<OpenedStorage>;

/** The guarantees that a store shared with other servers does not give. */
export interface StorageTraits {
  /** Whether writes requested in one turn take effect in the order of their calls. */
  readonly keepsCallOrder: boolean;
  /** Whether events expire by the clock that the test passes in. */
  readonly expiresByClock: boolean;
}

/** The traits of a store that only one process uses. */
const OWN: StorageTraits = { keepsCallOrder: true, expiresByClock: true };

/** The traits of a store on etcd, to which other servers write, and whose clock is etcd's. */
export const SHARED: StorageTraits = { keepsCallOrder: false, expiresByClock: false };

const PREFIX = "/registry/things/";
const MINUTE = 60_000;

function listKeys(page: StoragePage): string[] {
  return page.items.map((item) => item.key.slice(PREFIX.length));
}

async function createAll(storage: Storage, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => storage.create(PREFIX + name, thing(name))));
}

/** Registers the suite for one implementation. */
export function testStorage(implementation: string, open: OpenStorage, traits: StorageTraits = OWN): void {
  const check = (
    sentence: string,
    body: (storage: Storage, clock: ReturnType<typeof createFakeClock>) => Promise<void>,
  ) =>
    test(`${implementation} ${sentence}`, async () => {
      const clock = createFakeClock();
      await using opened = await open(clock);
      await body(opened.storage, clock);
    });

  check("starts at revision 1 or later, which only writes increase", async (storage) => {
    const start = storage.revision();
    assert.ok(start >= 1);
    assert.ok(findCompactedRevision(storage) <= start);
    const created = await storage.create(`${PREFIX}a`, thing("a"));
    assert.ok(created.revision > start);
    assert.equal(storage.revision(), created.revision);
    await storage.list(PREFIX);
    assert.equal(storage.revision(), created.revision);
    await storage.health();
  });

  check("create() stores the object with its revision in Go's field order, without its type", async (storage) => {
    const object = { kind: "Thing", apiVersion: "v1", ...thing("a", "<ü&😀>") };
    const stored = await storage.create(`${PREFIX}a`, object);
    assert.equal(
      new TextDecoder().decode(stored.bytes),
      `{"metadata":{"name":"a","uid":"uid-a","resourceVersion":"${stored.revision}",` +
        `"creationTimestamp":"2026-01-01T00:00:00Z"},"value":"\\u003cü\\u0026😀\\u003e"}`,
    );
    assert.deepEqual(stored.object, JSON.parse(new TextDecoder().decode(stored.bytes)));
    assert.deepEqual(await storage.get(`${PREFIX}a`), stored);
    assert.equal("resourceVersion" in object.metadata, false);
  });

  check("get() returns undefined for a key that was never written", async (storage) => {
    assert.equal(await storage.get(`${PREFIX}a`), undefined);
  });

  check("create() refuses a key that exists", async (storage) => {
    await storage.create(`${PREFIX}a`, thing("a"));
    await assert.rejects(storage.create(`${PREFIX}a`, thing("a")), AlreadyExistsError);
  });

  check("update() replaces only the expected revision", async (storage) => {
    const first = await storage.create(`${PREFIX}a`, thing("a", 1));
    const second = await storage.update(`${PREFIX}a`, { ...first.object, ...thing("a", 2) }, first.revision);
    assert.ok(second.revision > first.revision);
    await assert.rejects(storage.update(`${PREFIX}a`, thing("a", 3), first.revision), (error) => {
      assert.ok(error instanceof RevisionConflictError);
      assert.equal(error.current?.revision, second.revision);
      return true;
    });
    await assert.rejects(storage.update(`${PREFIX}b`, thing("b"), first.revision), (error) => {
      return error instanceof RevisionConflictError && error.current === undefined;
    });
    assert.deepEqual(await storage.get(`${PREFIX}a`), second);
  });

  check("refuses objects that are too large for etcd with etcd's messages, and keeps working", async (storage) => {
    const large = (bytes: number) => thing("a", "x".repeat(bytes));
    const refusal = (message: RegExp) => (error: unknown) =>
      error instanceof WriteRefusedError && error.why === "tooLarge" && error.status.code === 500 &&
      message.test(error.message);
    const tooLarge = refusal(/^etcdserver: request is too large$/);
    const unsent = refusal(/^rpc error: .* trying to send message larger than max \(25\d{5} vs\. 2097152\)$/);
    await assert.rejects(storage.create(`${PREFIX}a`, large(1_572_864)), tooLarge);
    await assert.rejects(storage.create(`${PREFIX}a`, large(2_500_000)), unsent);
    const stored = await storage.create(`${PREFIX}a`, large(1_572_000));
    await assert.rejects(storage.update(`${PREFIX}a`, large(1_572_864), stored.revision), tooLarge);
    await assert.rejects(storage.update(`${PREFIX}a`, large(2_500_000), stored.revision), unsent);
    assert.deepEqual(await storage.get(`${PREFIX}a`), stored);
    await storage.delete(`${PREFIX}a`, stored.revision);
    assert.equal((await storage.create(`${PREFIX}b`, thing("b"))).revision, stored.revision + 2, "no revision is lost");
  });

  check("delete() returns the last state and a new revision", async (storage) => {
    const stored = await storage.create(`${PREFIX}a`, thing("a"));
    await assert.rejects(storage.delete(`${PREFIX}a`, stored.revision + 1), RevisionConflictError);
    const deleted = await storage.delete(`${PREFIX}a`, stored.revision);
    assert.deepEqual(deleted.previous, stored);
    assert.ok(deleted.revision > stored.revision);
    assert.equal(storage.revision(), deleted.revision);
    assert.equal(await storage.get(`${PREFIX}a`), undefined);
    await assert.rejects(storage.delete(`${PREFIX}a`, stored.revision), RevisionConflictError);
    assert.ok((await storage.create(`${PREFIX}a`, thing("a"))).revision > deleted.revision);
  });

  check("list() returns the keys with a prefix, in byte order", async (storage) => {
    await storage.create("/registry/thing/x", thing("x"));
    await storage.create("/registry/things-too/x", thing("x"));
    await createAll(storage, ["b", "a/b", "a", "a-b", "\u{1f600}", "\uffee", "Z", "é"]);
    const page = await storage.list(PREFIX);
    assert.deepEqual(listKeys(page), ["Z", "a", "a-b", "a/b", "b", "é", "\uffee", "\u{1f600}"]);
    assert.deepEqual([page.revision, page.remaining, page.nextKey], [storage.revision(), 0, undefined]);
    assert.deepEqual(listKeys(await storage.list(`${PREFIX}a/`)), ["a/b"]);
    assert.deepEqual((await storage.list("/registry/none/")).items, []);
    assert.equal((await storage.list("/registry/")).items.length, 10);
  });

  check("list() pages through one revision during writes", async (storage) => {
    const names = Array.from({ length: 23 }, (_, i) => `n${String(i).padStart(2, "0")}`);
    await createAll(storage, names);
    const seen: string[] = [];
    const first = await storage.list(PREFIX, { limit: 5 });
    for (let page = first;;) {
      seen.push(...listKeys(page));
      assert.equal(page.revision, first.revision);
      assert.equal(page.remaining, names.length - seen.length);
      assert.equal(page.nextKey, page.remaining > 0 ? `${PREFIX}${seen.at(-1)}\u0000` : undefined);
      if (page.nextKey === undefined) break;
      const current = (await storage.get(PREFIX + names.at(-1 - seen.length % 3)))!;
      await storage.update(current.key, thing("later"), current.revision);
      await storage.create(`${PREFIX}n0${seen.length}x`, thing("new"));
      const gone = await storage.get(PREFIX + names[seen.length]);
      if (gone !== undefined) await storage.delete(gone.key, gone.revision);
      page = await storage.list(PREFIX, { limit: 5, fromKey: page.nextKey, revision: page.revision });
      assert.ok(page.items.every((item) => item.revision <= first.revision));
    }
    assert.deepEqual(seen, names);
  });

  check("list() shows every past revision and refuses future ones", async (storage) => {
    const start = storage.revision();
    const a = await storage.create(`${PREFIX}a`, thing("a", 1));
    const b = await storage.create(`${PREFIX}b`, thing("b", 1));
    const a2 = await storage.update(`${PREFIX}a`, thing("a", 2), a.revision);
    const gone = await storage.delete(`${PREFIX}b`, b.revision);
    const at = async (revision: number, fromKey = "") => (await storage.list(PREFIX, { revision, fromKey })).items;
    assert.deepEqual(await at(start), []);
    assert.deepEqual(await at(a.revision), [a]);
    assert.deepEqual(await at(b.revision), [a, b]);
    assert.deepEqual(await at(b.revision, b.key), [b]);
    assert.deepEqual(await at(a2.revision), [a2, b]);
    assert.deepEqual(await at(gone.revision), [a2]);
    await assert.rejects(at(gone.revision + 1), (error) => isAppError(error, "invalid"));
  });

  check("watch() reports changes below its prefix, in order, before the write returns", async (storage) => {
    const start = storage.revision();
    const { events, stop } = collect(storage, PREFIX, start);
    const a = await storage.create(`${PREFIX}a`, thing("a"));
    assert.deepEqual(describeEvents(events), [`${a.revision} things/a ->${a.revision}`]);
    await storage.create("/registry/others/a", thing("a"));
    const a2 = await storage.update(`${PREFIX}a`, thing("a", 2), a.revision);
    const gone = await storage.delete(`${PREFIX}a`, a2.revision);
    assert.deepEqual(describeEvents(events).slice(1), [
      `${a2.revision} things/a ${a.revision}>${a2.revision}`,
      `${gone.revision} things/a ${a2.revision}>-`,
    ]);
    assert.deepEqual(events[1]?.current, a2);
    assert.deepEqual(events[2]?.previous, a2);
    stop();
    stop();
    await storage.create(`${PREFIX}b`, thing("b"));
    assert.equal(events.length, 3);
  });

  check("watch() continues from history to new events without losing or repeating one", async (storage) => {
    const live = collect(storage, PREFIX, storage.revision());
    await createAll(storage, ["a", "b", "c"]);
    const middle = live.events[0]!.revision;
    const pending = createAll(storage, ["d", "e"]);
    const late = collect(storage, PREFIX, middle);
    await pending;
    await createAll(storage, ["f"]);
    await until(() => late.events.length >= 5);
    assert.deepEqual(late.events, live.events.slice(1));
    assert.equal(new Set(live.events.map((event) => event.revision)).size, 6);
  });

  check("watch() from a future revision waits for it", async (storage) => {
    const { events } = collect(storage, PREFIX, storage.revision() + 1);
    for (const name of ["a", "b"]) await storage.create(PREFIX + name, thing(name));
    assert.deepEqual(events.map((event) => event.key), [`${PREFIX}b`]);
  });

  check("lets a listener open and stop watches, and tolerates one that throws", async (storage) => {
    const nested: StorageEvent[] = [];
    const start = storage.revision();
    const victim = collect(storage, PREFIX, start);
    const outer = storage.watch(PREFIX, start, (events) => {
      if (nested.length === 0) storage.watch(PREFIX, start, (more) => void nested.push(...more));
      victim.stop();
      outer.stop();
      throw new Error(`a bug in the listener of ${events.length}`);
    });
    await storage.create(`${PREFIX}a`, thing("a"));
    await storage.create(`${PREFIX}b`, thing("b"));
    assert.deepEqual(nested.map((event) => event.key), [`${PREFIX}a`, `${PREFIX}b`]);
    assert.equal(victim.events.length, 1);
  });

  check("keeps five minutes of history and drops older revisions", async (storage, clock) => {
    const old = await storage.create(`${PREFIX}a`, thing("a", 1));
    const newer = await storage.update(`${PREFIX}a`, thing("a", 2), old.revision);
    await clock.advance(5 * MINUTE - 1);
    const kept = await storage.create(`${PREFIX}b`, thing("b"));
    assert.equal((await storage.list(PREFIX, { revision: old.revision })).items[0]?.revision, old.revision);
    await clock.advance(2);
    const last = await storage.create(`${PREFIX}c`, thing("c"));

    assert.equal(findCompactedRevision(storage), newer.revision);
    for (const revision of [old.revision, newer.revision - 1]) {
      await assert.rejects(storage.list(PREFIX, { revision }), (error) => {
        assert.ok(error instanceof CompactedError);
        assert.deepEqual([error.requestedRevision, error.compactedRevision], [revision, newer.revision]);
        return true;
      });
      assert.throws(() => storage.watch(PREFIX, revision, () => {}), CompactedError);
    }
    assert.deepEqual((await storage.list(PREFIX, { revision: newer.revision })).items, [newer]);
    const { events } = collect(storage, PREFIX, newer.revision);
    await until(() => events.length >= 2);
    assert.deepEqual(events.map((event) => event.revision), [kept.revision, last.revision]);
    assert.deepEqual(await storage.get(`${PREFIX}a`), newer);
  });

  const checkExpiry = traits.expiresByClock ? check : () => undefined;
  for (const { name, ms } of CLOCK_JUMPS) {
    check(`keeps history for the same time when the clock is set ${name}`, async (storage, clock) => {
      const before = findCompactedRevision(storage);
      const a = await storage.create(`${PREFIX}a`, thing("a", 1));
      clock.set(ms);
      const a2 = await storage.update(`${PREFIX}a`, thing("a", 2), a.revision);
      await clock.advance(5 * MINUTE - 1);
      const a3 = await storage.update(`${PREFIX}a`, thing("a", 3), a2.revision);
      assert.equal(findCompactedRevision(storage), before);
      await clock.advance(2);
      await storage.update(`${PREFIX}a`, thing("a", 4), a3.revision);
      assert.equal(findCompactedRevision(storage), a2.revision);
    });

    checkExpiry(`keeps Events for the same time when the clock is set ${name}`, async (storage, clock) => {
      await storage.create("/registry/events/default/a", thing("a"));
      clock.set(ms);
      await clock.advance(60 * MINUTE - 1);
      assert.equal((await storage.list("/registry/events/")).items.length, 1);
      const { events } = collect(storage, "/registry/events/", storage.revision());
      await clock.advance(1);
      await until(() => events.length > 0);
      assert.equal((await storage.list("/registry/events/")).items.length, 0);
      assert.equal(clock.sleepers, 0);
    });
  }

  checkExpiry("deletes Events an hour after their last write, and nothing else", async (storage, clock) => {
    await storage.create(`${PREFIX}a`, thing("a"));
    const first = await storage.create("/registry/events/default/a", thing("a"));
    await storage.create("/registry/events/default/b", thing("b"));
    const { events } = collect(storage, "/registry/events/", storage.revision());
    await clock.advance(30 * MINUTE);
    await storage.update(first.key, thing("a", 2), first.revision);
    await clock.advance(30 * MINUTE);
    await until(() => events.length >= 2);
    assert.deepEqual(events.map((event) => [event.key.at(-1), event.current === undefined]), [["a", false], [
      "b",
      true,
    ]]);
    assert.equal(events[1]?.revision, storage.revision());
    await clock.advance(30 * MINUTE);
    await until(() => events.length >= 3);
    assert.equal((await storage.list("/registry/events/")).items.length, 0);
    assert.equal((await storage.list(PREFIX)).items.length, 1);
    assert.equal(clock.sleepers, 0);
  });

  const order = traits.keepsCallOrder ? ", in the order of their calls" : "";
  check(`gives 256 concurrent writers a revision each${order}`, async (storage) => {
    const { events } = collect(storage, PREFIX, storage.revision());
    const names = Array.from({ length: 256 }, (_, i) => `n${i}`);
    const stored = await Promise.all(names.map((name) => storage.create(PREFIX + name, thing(name))));
    const revisions = stored.map(({ revision }) => revision);
    const sorted = [...new Set(revisions)].sort((a, b) => a - b);
    if (traits.keepsCallOrder) assert.deepEqual(revisions, sorted);
    assert.equal(sorted.length, names.length);
    assert.deepEqual(events.map((event) => event.revision), sorted);
    assert.equal((await storage.list(PREFIX)).items.length, 256);
  });

  check("lets one of several concurrent writers of a key succeed", async (storage) => {
    const creations = await Promise.allSettled(
      Array.from({ length: 16 }, (_, i) => storage.create(`${PREFIX}a`, thing("a", i))),
    );
    assert.equal(creations.filter((outcome) => outcome.status === "fulfilled").length, 1);
    const { revision } = (await storage.get(`${PREFIX}a`))!;
    const writes = await Promise.allSettled([
      storage.update(`${PREFIX}a`, thing("a", 1), revision),
      storage.delete(`${PREFIX}a`, revision),
      storage.update(`${PREFIX}a`, thing("a", 2), revision),
    ]);
    const outcomes = writes.map((outcome) => outcome.status);
    if (!traits.keepsCallOrder) outcomes.sort();
    assert.deepEqual(outcomes, ["fulfilled", "rejected", "rejected"]);
    const refused = writes.findLast((outcome) => outcome.status === "rejected");
    assert.ok(refused?.reason instanceof RevisionConflictError);
    assert.deepEqual(refused.reason.current, await storage.get(`${PREFIX}a`));
  });

  check("lets all writers succeed if they retry after conflicts", async (storage) => {
    await storage.create(`${PREFIX}a`, thing("a", 0));
    await Promise.all(Array.from({ length: 8 }, async () => {
      while (true) {
        const { object, revision } = (await storage.get(`${PREFIX}a`))!;
        const next = { ...object, value: Number((object as { value?: unknown }).value) + 1 };
        try {
          return await storage.update(`${PREFIX}a`, next, revision);
        } catch (error) {
          if (!(error instanceof RevisionConflictError)) throw error;
        }
      }
    }));
    assert.equal((await storage.get(`${PREFIX}a`))!.object["value" as never], 8);
  });

  check("transact() makes all writes, and watches receive their changes together", async (storage) => {
    const a = await storage.create(`${PREFIX}a`, thing("a", 1));
    const b = await storage.create("/registry/others/b", thing("b"));
    const before = storage.revision();
    const calls: (readonly StorageEvent[])[] = [];
    storage.watch("/registry/", before, (events) => void calls.push(events));
    const mine = collect(storage, PREFIX, before);
    const changes = await storage.transact([
      { kind: "update", key: a.key, object: thing("a", 2), expectedRevision: a.revision },
      { kind: "delete", key: b.key, expectedRevision: b.revision },
      { kind: "create", key: "/registry/tlsboot/ones/c", object: thing("c") },
      { kind: "create", key: "/registry/tlsboot/twos/c", object: thing("c") },
    ]);
    const sort = (events: readonly StorageEvent[]) => events.toSorted((x, y) => x.key < y.key ? -1 : 1);
    assert.deepEqual(calls.map(sort), [sort(changes)]);
    assert.deepEqual(mine.events, changes.slice(0, 1));
    const keys = [a.key, b.key, "/registry/tlsboot/ones/c", "/registry/tlsboot/twos/c"];
    assert.deepEqual(changes.map(({ key }) => key), keys);
    assert.deepEqual(changes.map(({ previous }) => previous), [a, b, undefined, undefined]);
    assert.deepEqual(changes.map(({ current }) => current !== undefined), [true, false, true, true]);
    assert.ok(changes.every(({ revision }) => revision > before));
    assert.equal(storage.revision(), Math.max(...changes.map(({ revision }) => revision)));
    for (const { key, current } of changes) assert.deepEqual(await storage.get(key), current);
    assert.deepEqual(await storage.transact([]), []);
  });

  check("transact() makes no write when one fails, and reports which", async (storage) => {
    const a = await storage.create(`${PREFIX}a`, thing("a", 1));
    const a2 = await storage.update(`${PREFIX}a`, thing("a", 2), a.revision);
    const b = await storage.create("/registry/others/b", thing("b"));
    const { events } = collect(storage, "/registry/", storage.revision());
    const before = await readContent(storage);
    const update = ({ key, revision }: { readonly key: string; readonly revision: number }): Write => {
      return { kind: "update", key, object: thing("x"), expectedRevision: revision };
    };
    const [newThing, newOther] = creations("c") as [Write, Write];
    const refuses = async (writes: readonly Write[], failing: Write, current?: Stored) => {
      const Refusal = failing.kind === "create" ? AlreadyExistsError : RevisionConflictError;
      await assert.rejects(storage.transact(writes), (error) => {
        assert.ok(error instanceof Refusal, String(error));
        assert.equal(error.key, failing.key);
        if (error instanceof RevisionConflictError) assert.deepEqual(error.current, current);
        return true;
      });
    };
    const [takenThing, takenOther] = [creations("a")[0]!, creations("b")[1]!];
    const last: Write = { kind: "create", key: "/registry/last/c", object: thing("c") };
    await refuses([update(b), takenThing, last], takenThing);
    await refuses([takenOther, newThing], takenOther);
    for (const stale of [update(a), { kind: "delete", key: a.key, expectedRevision: a.revision } as const]) {
      await refuses([newOther, stale, last], stale, a2);
    }
    for (const missing of [update({ key: `${PREFIX}none`, revision: a.revision }), update({ ...a2, revision: 0 })]) {
      await refuses([last, missing], missing, missing.key === a.key ? a2 : undefined);
    }
    // The first of two failing writes is reported.
    await refuses([takenThing, update({ ...b, revision: a.revision })], takenThing);
    assert.deepEqual(await readContent(storage), before);
    assert.deepEqual(events, []);
    assert.equal((await storage.create(last.key, thing("e"))).revision, b.revision + 1, "no revision is lost");
  });

  check("transact() refuses two objects of one resource whose changes would share a revision", async (storage) => {
    const start = storage.revision();
    for (const path of ["things", "things/in", "tlsboot/things", "example.com/things", "services/specs"]) {
      const writes = ["a", "b"].map((name): Write => {
        return { kind: "create", key: `/registry/${path}/${name}`, object: thing(name) };
      });
      if (storage.sharesRevisions) {
        await assert.rejects(storage.transact(writes), (error) => isAppError(error, "internal"));
      } else {
        const [first, second] = await storage.transact(writes);
        assert.deepEqual([first?.key, second?.key], writes.map(({ key }) => key));
        assert.equal(second?.revision, first!.revision + 1);
      }
    }
    const present = storage.revision();
    if (storage.sharesRevisions) assert.equal(present, start);
    await assert.rejects(storage.transact([...creations("c"), ...creations("c")]), /in one transaction/);
    assert.equal(storage.revision(), present);
    await storage.transact(["services/specs", "services/endpoints"].map((path): Write => {
      return { kind: "create", key: `/registry/${path}/z`, object: thing("z") };
    }));
  });

  check("transact() refuses writes that are too large together", async (storage) => {
    const start = storage.revision();
    for (const bytes of [530_000, 1_000_000]) {
      await assert.rejects(storage.transact(creations("a", "x".repeat(bytes))), (error) => {
        return error instanceof WriteRefusedError && error.why === "tooLarge";
      });
    }
    assert.deepEqual([storage.revision(), (await readContent(storage)).size], [start, 0]);
    await storage.transact(creations("a", "x".repeat(500_000)));
    assert.equal((await readContent(storage)).size, 3);
  });

  check(
    "transact() lets one of several racing transactions succeed, and writes nothing of the others",
    async (storage) => {
      const outcomes = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => {
        const [head, ...others] = [...creations("head", i).slice(0, 1), ...creations(`n${i}`).slice(1)];
        return storage.transact([...others, head!]);
      }));
      const winner = outcomes.findIndex(({ status }) => status === "fulfilled");
      for (const [index, outcome] of outcomes.entries()) {
        if (index === winner) continue;
        assert.ok(outcome.status === "rejected" && outcome.reason instanceof AlreadyExistsError, `${index}`);
        assert.equal(outcome.reason.key, `${PREFIX}head`);
      }
      const keys = [`/registry/events/default/n${winner}`, `/registry/others/n${winner}`, `${PREFIX}head`];
      assert.deepEqual([...(await readContent(storage)).keys()], keys);
    },
  );

  check("transact() is atomic in past revisions, in paged lists and in watches from any revision", async (storage) => {
    const start = storage.revision();
    const created = await storage.transact(creations("a"));
    const newest = storage.revision();
    const first = await storage.list("/registry/", { limit: 2 });
    await storage.transact(created.map(({ key, revision }) => ({ kind: "delete", key, expectedRevision: revision })));
    const second = await storage.list("/registry/", { limit: 2, fromKey: first.nextKey!, revision: first.revision });
    assert.deepEqual(
      [...first.items, ...second.items].map(({ key }) => key),
      created.map(({ key }) => key).toSorted(),
    );
    assert.deepEqual((await storage.list("/registry/", { revision: start })).items, []);
    assert.equal((await storage.list("/registry/", { revision: newest })).items.length, 3);
    assert.deepEqual((await storage.list("/registry/")).items, []);
    for (const { from, count } of [{ from: start, count: 6 }, { from: newest, count: 3 }]) {
      const { events } = collect(storage, "/registry/", from);
      await until(() => events.length >= count);
      assert.equal(events.length, count);
      assert.ok(events.every(({ revision }) => revision > from));
    }
    assert.deepEqual(collect(storage, "/registry/", storage.revision()).events, []);
  });

  check("finishes pending writes when it is closed, and refuses later calls", async (storage) => {
    const { events } = collect(storage, PREFIX, storage.revision());
    const pending = storage.create(`${PREFIX}a`, thing("a"));
    await Promise.all([storage[Symbol.asyncDispose](), storage[Symbol.asyncDispose]()]);
    assert.equal((await pending).key, `${PREFIX}a`);
    assert.equal(events.length, 1);
    for (
      const call of [
        () => storage.get(`${PREFIX}a`),
        () => storage.list(PREFIX),
        () => storage.create(`${PREFIX}b`, thing("b")),
        () => storage.update(`${PREFIX}a`, thing("a"), 2),
        () => storage.delete(`${PREFIX}a`, 2),
        () => storage.transact(creations("b")),
        () => storage.health(),
        async () => storage.watch(PREFIX, 2, () => {}),
      ]
    ) await assert.rejects(call, /it is closed/);
  });
}

/** Registers the test of a quota, for stores without etcd's own. */
export function testQuota(implementation: string, open: (quotaBytes: number) => Promise<OpenedStorage>): void {
  test(`${implementation} that is full refuses creations, but allows deletions, and updates within a reserve`, async () => {
    const quotaBytes = 160_000;
    await using opened = await open(quotaBytes);
    const value = "x".repeat(10_000);
    const isFull = (error: unknown) =>
      error instanceof WriteRefusedError && error.why === "full" && error.status.code === 500 &&
      error.message === "etcdserver: mvcc: database space exceeded";
    const names = Array.from({ length: 20 }, (_, index) => `t${index}`);
    const outcomes = await Promise.allSettled(
      names.map((name) => opened.storage.create(PREFIX + name, thing(name, value))),
    );
    const kept = outcomes.filter(({ status }) => status === "fulfilled").length;
    assert.equal(kept, 15, "writes of one commit count as well");
    for (const outcome of outcomes) if (outcome.status === "rejected") assert.ok(isFull(outcome.reason));

    await opened.reopen?.();
    const { storage } = opened;
    await assert.rejects(storage.create(`${PREFIX}new`, thing("new", value)), isFull);
    const first = await storage.get(`${PREFIX}t0`);
    const larger = await storage.update(`${PREFIX}t0`, thing("t0", `${value}y`), first!.revision);
    await assert.rejects(storage.update(`${PREFIX}t0`, thing("t0", value.repeat(4)), larger.revision), isFull);
    const smaller = await storage.update(`${PREFIX}t0`, thing("t0", "small"), larger.revision);
    await storage.delete(`${PREFIX}t0`, smaller.revision);
    await storage.create(`${PREFIX}new`, thing("new", value));
    await assert.rejects(storage.create(`${PREFIX}newer`, thing("newer", value)), isFull);
    const t1 = (await storage.get(`${PREFIX}t1`))!;
    const freed: Write = { kind: "delete", key: t1.key, expectedRevision: t1.revision };
    const [other, event] = creations("newer", value).slice(1) as [Write, Write];
    const before = await readContent(storage);
    await assert.rejects(storage.transact([freed, other, event]), isFull);
    assert.deepEqual(await readContent(storage), before);
    await storage.transact([freed, other]);
    // An update counts only the bytes that it adds, also in a commit with others.
    await Promise.all(["t2", "t3"].map(async (name) => {
      const { key, revision } = (await storage.get(PREFIX + name))!;
      await storage.update(key, thing(name, `${value}y`), revision);
    }));
  });
}
