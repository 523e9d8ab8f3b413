import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { type AppError, isAppError } from "../../../core/errors.ts";
import { thing } from "../../../tests/support/stored_things.ts";
import type { LoggedEvent } from "../memory/engine.ts";
import { createStored } from "../stored.ts";
import { loadChanges, observeJournal, SqliteJournal } from "./journal.ts";
import { TABLES } from "./sqlite_storage.ts";

/** A journal in memory, with the calls of its file and the faults that the test sets. */
function openJournal() {
  const database = new DatabaseSync(":memory:");
  database.exec(TABLES);
  const calls: string[] = [];
  const faults: { moved?: Error; sync?: Error } = {};
  const lost: AppError[] = [];
  const journal = new SqliteJournal({
    database,
    assertInPlace() {
      if (faults.moved !== undefined) throw faults.moved;
    },
    sync: () => faults.sync === undefined ? Promise.resolve() : Promise.reject(faults.sync),
    checkpoint: () => void calls.push("checkpoint"),
    close: () => database.close(),
    abandon: () => void calls.push("abandon"),
  }, (error) => lost.push(error));
  const countChanges = () => Number(database.prepare("SELECT total_changes() AS count").get()?.["count"]);
  return { database, journal, calls, faults, lost, countChanges };
}

/** Creates the change that writes an object, or that deletes it. */
function write(name: string, revision: number, isDeletion = false): LoggedEvent {
  const key = `/registry/things/${name}`;
  return {
    at: revision,
    event: { key, revision, ...(isDeletion ? {} : { current: createStored(key, thing(name), revision) }) },
  };
}

test("SqliteJournal moves the log into the database after a thousand pages, also those of dropped history", async () => {
  const { journal, calls } = openJournal();
  // A page for four dropped rows, and three for each commit.
  const drop = (rows: number) => journal.commit([], { revision: 2, count: rows, forgotten: Array(rows).fill(2) });
  await drop(4 * 993);
  assert.deepEqual(calls, []);
  await drop(4);
  assert.deepEqual(calls, ["checkpoint"]);
  await drop(4 * 996);
  assert.deepEqual(calls, ["checkpoint"]);
  journal.close();
});

test("SqliteJournal.check() writes only after a failed commit, and notices a file that was moved", async () => {
  const { database, journal, faults, countChanges } = openJournal();
  const check = () => {
    const before = countChanges();
    journal.check();
    return countChanges() - before;
  };
  assert.equal(check(), 0);
  await journal.commit([write("a", 2)], undefined);
  assert.equal(check(), 0);
  faults.moved = new Error("it was moved");
  assert.throws(() => journal.check(), (error) => isAppError(error, "io") && /it was moved/.test(error.message));
  delete faults.moved;
  await assert.rejects(journal.commit([write("b", 3), write("c", 2)], undefined), (error) => isAppError(error, "io"));
  assert.equal(database.isTransaction, false, "nothing keeps the failed transaction open");
  assert.ok(check() > 0);
  assert.equal(check(), 0);
  const { start } = loadChanges("a file", database, 9);
  assert.deepEqual(start.changes.map(({ event }) => event.revision), [2]);
  journal.close();
});

test("SqliteJournal keeps its database open and refuses everything after the disk lost a write", async () => {
  const { database, journal, calls, faults, lost } = openJournal();
  faults.sync = new Error("no answer");
  const isLost = (error: unknown) => isAppError(error, "io") && /did not keep a write: no answer/.test(error.message);
  await assert.rejects(journal.commit([write("a", 2)], undefined), isLost);
  delete faults.sync;
  await assert.rejects(journal.commit([write("b", 3)], undefined), isLost);
  assert.throws(() => journal.check(), isLost);
  journal.close();
  assert.deepEqual([database.isOpen, calls, lost.length], [true, ["abandon"], 1]);
  database.close();
});

test("loadChanges() returns the state at the compacted revision, the changes after it, and the times of writes", async () => {
  const { database, journal } = openJournal();
  await journal.commit([write("a", 2), write("b", 3), write("c", 4), write("d", 5)], undefined);
  await journal.commit([], { revision: 5, count: 4, forgotten: [] });
  await journal.commit([write("a", 6), write("b", 7, true), write("e", 8)], undefined);
  const { start: { base, changes, ...numbers }, writtenAt } = loadChanges("a file", database, 7);
  assert.deepEqual(numbers, { revision: 8, compactedRevision: 5 });
  assert.deepEqual(base.map(({ revision }) => revision), [2, 3, 4, 5]);
  assert.deepEqual(changes.map(({ event, at }) => [event.revision, event.previous?.revision, at]), [
    [6, 2, 6],
    [7, 3, 7],
    [8, undefined, 7],
  ]);
  assert.deepEqual([...writtenAt].map(([key, at]) => `${key.at(-1)} ${at}`), ["c 4", "d 5", "a 6", "e 7"]);
  const { previous, current } = changes[0]!.event;
  assert.equal(current!.object, current!.object);
  assert.notEqual(previous!.object, previous!.object, "replaced objects are not kept in memory");
  journal.close();
});

test("observeJournal() times each commit with its changes, and counts those that fail", async () => {
  const observed: string[] = [];
  let now = 1_000;
  let fails = false;
  const commit = async () => {
    now += 250;
    if (fails) throw new Error("full");
  };
  const observer = {
    committed: (changes: number, seconds: number) => void observed.push(`${changes} in ${seconds}`),
    failed: () => void observed.push("failed"),
  };
  const journal = observeJournal({ commit, check() {}, close() {} }, observer, () => now);
  const change: LoggedEvent = { event: { key: "/registry/x", revision: 2 }, at: 0 };
  await journal.commit([change, change], undefined);
  fails = true;
  await assert.rejects(journal.commit([change], undefined), /full/);
  assert.deepEqual(observed, ["2 in 0.25", "failed"]);
});
