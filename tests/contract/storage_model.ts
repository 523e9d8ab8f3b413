/** A property: after any operations a store behaves like a map with a copy for each revision. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import fc from "../support/properties.ts";
import { isAppError } from "../../core/errors.ts";
import {
  AlreadyExistsError,
  CompactedError,
  RevisionConflictError,
  type Storage,
  type Write as StorageWrite,
} from "../../server/storage/storage.ts";
import { findResourcePath } from "../../server/storage/transaction.ts";
import { createFakeClock, type FakeClock } from "../support/fake_clock.ts";
import type { OpenedStorage, OpenStorage } from "./storage_contract.ts";
import { collect, findCompactedRevision, thing } from "../support/stored_things.ts";

/** Keys that are hard to order: prefixes of each other, characters close to "/", characters beyond U+FFFF. */
const KEYS = ["a", "a/b", "a-b", "a0", "b/c", "b/d", "z", "\uffee", "\u{1f600}"].map((name) => `/registry/m/${name}`);
/** Keys of other resources, which transactions write together with one of the keys above. */
const OTHER_KEYS = ["/registry/n/a", "/registry/o/a", "/registry/o/b", "/registry/tlsboot/p/a"];
const PREFIXES = ["/registry/m/", "/registry/m/a/", "/registry/m/b/", "/registry/", "/registry/none/"];

interface ModelState {
  readonly revision: number;
  readonly value: number;
}

/** Holds every state of the storage by its revision, and the revision of every change. */
interface Model {
  readonly states: { revision: number; keys: ReadonlyMap<string, ModelState> }[];
  readonly changes: number[];
}

interface Real {
  readonly opened: OpenedStorage;
  readonly clock: FakeClock;
  /** The revisions that the watch from the start has received. */
  readonly watched: number[];
}

type Write = { readonly kind: "create" | "update" | "delete" | "stale"; readonly key: string; readonly value: number };

type Command = fc.AsyncCommand<Model, Real>;

function command(label: string, run: Command["run"]): Command {
  return { check: () => true, run, toString: () => label };
}

function formatWrites(writes: readonly Write[]): string {
  return writes.map(({ kind, key, value }) => `${kind}(${key}, ${value})`).join(" ");
}

/** Requests writes in one turn, which take effect in the order of the calls. */
function writeAll(writes: readonly Write[]): Command {
  return command(formatWrites(writes), async (model, { opened: { storage } }) => {
    const before = model.states.at(-1)!;
    const outcomes = await Promise.allSettled(writes.map((write) => perform(storage, write, before.keys)));
    for (const [index, outcome] of outcomes.entries()) {
      const write = writes[index]!;
      const { keys, revision: last } = model.states.at(-1)!;
      // Within a batch the revisions of pending writes are not known yet, so only untouched keys can be changed.
      const untouched = keys.get(write.key)?.revision === before.keys.get(write.key)?.revision;
      const exists = keys.has(write.key);
      const wins = write.kind === "create" ? !exists : exists && untouched && write.kind !== "stale";
      assert.equal(outcome.status, wins ? "fulfilled" : "rejected", `${write.kind} ${write.key}`);
      if (outcome.status === "rejected") {
        assert.ok(isAppError(outcome.reason, write.kind === "create" ? "already_exists" : "conflict"));
        continue;
      }
      const revision = outcome.value;
      assert.ok(revision > last, "revisions go up");
      applyChange(model, write, revision);
    }
    assert.equal(storage.revision(), model.states.at(-1)!.revision);
  });
}

/** Adds a change to the model. Changes of a transaction may share a revision, and then only the last has a state. */
function applyChange(model: Model, write: Write, revision: number): void {
  const last = model.states.at(-1)!;
  const keys = new Map(last.keys);
  if (write.kind === "delete") keys.delete(write.key);
  else keys.set(write.key, { revision, value: write.value });
  if (revision === last.revision) model.states.pop();
  model.states.push({ revision, keys });
  model.changes.push(revision);
}

/** Writes to different resources in one transaction. */
function transact(writes: readonly Write[]): Command {
  return command(`transact(${formatWrites(writes)})`, async (model, { opened: { storage } }) => {
    const { keys, revision: before } = model.states.at(-1)!;
    const failing = writes.find(({ kind, key }) => kind === "stale" || (kind === "create") === keys.has(key));
    const transaction = storage.transact(writes.map((write) => toStorageWrite(write, keys)));
    if (failing !== undefined) {
      const Refusal = failing.kind === "create" ? AlreadyExistsError : RevisionConflictError;
      await assert.rejects(transaction, (error) => error instanceof Refusal && error.key === failing.key);
      assert.equal(storage.revision(), before);
      return;
    }
    const changes = await transaction;
    for (const [index, { revision }] of changes.entries()) {
      assert.ok(revision > before && revision >= model.states.at(-1)!.revision);
      applyChange(model, writes[index]!, revision);
    }
    assert.equal(storage.revision(), model.states.at(-1)!.revision);
  });
}

async function perform(storage: Storage, write: Write, before: ReadonlyMap<string, ModelState>): Promise<number> {
  const known = before.get(write.key)?.revision ?? 0;
  switch (write.kind) {
    case "create":
      return (await storage.create(write.key, thing(write.key, write.value))).revision;
    case "update":
      return (await storage.update(write.key, thing(write.key, write.value), known)).revision;
    case "stale":
      return (await storage.update(write.key, thing(write.key, write.value), known - 1)).revision;
    case "delete":
      return (await storage.delete(write.key, known)).revision;
  }
}

function toStorageWrite({ kind, key, value }: Write, before: ReadonlyMap<string, ModelState>): StorageWrite {
  const known = before.get(key)?.revision ?? 0;
  if (kind === "delete") return { kind, key, expectedRevision: known };
  const object = thing(key, value);
  if (kind === "create") return { kind, key, object };
  return { kind: "update", key, object, expectedRevision: kind === "stale" ? known - 1 : known };
}

/** Reads a prefix at some known revision, page by page. */
function list(prefix: string, back: number, limit: number): Command {
  return command(`list(${prefix}, ${back} back, limit ${limit})`, async (model, { opened: { storage } }) => {
    const { revision, keys } = model.states.at(-1 - back % model.states.length)!;
    const want = [...keys].filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const got: unknown[] = [];
    let fromKey: string | undefined;
    do {
      const options = { limit, revision, ...(fromKey === undefined ? {} : { fromKey }) };
      if (revision < findCompactedRevision(storage)) {
        return await assert.rejects(storage.list(prefix, options), CompactedError);
      }
      const page = await storage.list(prefix, options);
      assert.ok(limit === 0 || page.items.length <= limit);
      got.push(
        ...page.items.map((item) => [item.key, { revision: item.revision, value: item.object["value" as never] }]),
      );
      assert.equal(page.remaining, want.length - got.length);
      fromKey = page.nextKey;
    } while (fromKey !== undefined);
    assert.deepEqual(got, want);
  });
}

/** Watches from some known revision and compares with the events of the first watch. */
function watch(back: number): Command {
  return command(`watch(${back} back)`, async (model, { opened: { storage }, watched }) => {
    const revisions = model.states.map((state) => state.revision);
    assert.deepEqual(watched, model.changes);
    const from = revisions.at(-1 - back % revisions.length)!;
    if (from < findCompactedRevision(storage)) {
      return assert.throws(() => storage.watch("/registry/", from, () => {}), CompactedError);
    }
    const { events, stop } = collect(storage, "/registry/", from);
    stop();
    assert.deepEqual(events.map((event) => event.revision), model.changes.filter((revision) => revision > from));
  });
}

/** Lets time pass, so that later writes drop some history. */
function advance(ms: number): Command {
  return command(`advance(${ms})`, async (_model, { clock }) => {
    clock.jump(ms);
  });
}

/** Closes and reopens a persistent store, which must keep its revision and its history. */
function reopen(): Command {
  return command("reopen()", async (model, { opened, watched }) => {
    if (opened.reopen === undefined) return;
    const before = [opened.storage.revision(), findCompactedRevision(opened.storage)];
    await opened.reopen();
    assert.deepEqual([opened.storage.revision(), findCompactedRevision(opened.storage)], before);
    follow(opened.storage, model.states.at(-1)!.revision, watched);
  });
}

/** Records every revision that a watch receives. */
function follow(storage: Storage, afterRevision: number, watched: number[]): void {
  storage.watch("/registry/", afterRevision, (events) => void watched.push(...events.map((event) => event.revision)));
}

/**
 * Registers the property for one implementation whose watches deliver past events before `watch` returns;
 * `writesPerTurn` is 1 for one that does not keep the order of calls.
 */
export function testStorageModel(implementation: string, open: OpenStorage, runs: number, writesPerTurn = 6): void {
  const anyWrite = (keys: readonly string[]) =>
    fc.record({
      kind: fc.constantFrom(
        "create" as const,
        "create" as const,
        "update" as const,
        "delete" as const,
        "stale" as const,
      ),
      key: fc.constantFrom(...keys),
      value: fc.nat(1000),
    });
  const write = anyWrite(KEYS);
  const commands = fc.commands([
    fc.array(write, { minLength: 1, maxLength: writesPerTurn }).map(writeAll),
    fc.uniqueArray(anyWrite([...KEYS, ...OTHER_KEYS]), {
      minLength: 1,
      maxLength: 4,
      selector: ({ key }) => findResourcePath(key.slice("/registry/".length)),
    }).map(transact),
    fc.tuple(fc.constantFrom(...PREFIXES), fc.nat(30), fc.nat(4)).map((args) => list(...args)),
    fc.nat(30).map(watch),
    fc.constantFrom(1_000, 100_000, 300_000).map(advance),
    fc.constant(reopen()),
  ], { maxCommands: 60, size: "+1" });

  test(`${implementation} behaves like a map with a copy for each revision`, async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (sequence) => {
        const clock = createFakeClock();
        await using opened = await open(clock);
        const { storage } = opened;
        const watched: number[] = [];
        follow(storage, storage.revision(), watched);
        await fc.asyncModelRun(() => ({
          model: { states: [{ revision: storage.revision(), keys: new Map() }], changes: [] },
          real: { opened, clock, watched },
        }), sequence);
      }),
      { numRuns: runs },
    );
  });
}
