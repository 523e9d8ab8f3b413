/** A disk that fails at each call in turn: only stored writes are acknowledged, and the store works afterwards. */
import assert from "node:assert/strict";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { test } from "node:test";
import { isAppError } from "../../../core/errors.ts";
import { createFakeClock } from "../../../tests/support/fake_clock.ts";
import { isFullRun } from "../../../tests/support/full_run.ts";
import { creations, readContent, thing } from "../../../tests/support/stored_things.ts";
import { createTempFolder } from "../../../tests/support/temp.ts";
import type { Storage } from "../storage.ts";
import { openSqliteStorage } from "./sqlite_storage.ts";

/** The errors of SQLite about a disk (sqlite.org/rescode.html), as `node:sqlite` throws them. */
const DISK_FAULTS: readonly { readonly errcode: number; readonly text: string }[] = [
  { errcode: 13, text: "database or disk is full" },
  { errcode: 8, text: "attempt to write a readonly database" },
  // A write and a sync.
  { errcode: 778, text: "disk I/O error" },
  { errcode: 1034, text: "disk I/O error" },
];

type DiskFault = typeof DISK_FAULTS[number];

/** Databases whose calls are counted together. */
interface FaultyDatabases {
  readonly open: (path: string) => DatabaseSync;
  /** Passes a number of calls, then fails a number of them with `fault`. Counts from now. */
  arm(fault: DiskFault, skipped: number, failing?: number): void;
  disarm(): void;
  /** Reports whether a call has failed since it was armed. */
  hasFailed(): boolean;
}

/** The calls that fail. SQLite reports no disk errors for `close`. */
const CALLS = ["exec", "prepare", "run", "get", "all", "iterate"];

/** Opens real databases; nothing fails until it is armed. */
function createFaultyDatabases(): FaultyDatabases {
  let armed: { readonly fault: DiskFault; skipped: number; failing: number } | undefined;
  let failed = false;

  function count(): void {
    if (armed === undefined || armed.skipped-- > 0 || armed.failing-- <= 0) return;
    failed = true;
    const { text, errcode } = armed.fault;
    throw Object.assign(new Error(text), { code: "ERR_SQLITE_ERROR", errcode });
  }

  function wrap<T extends DatabaseSync | StatementSync>(target: T): T {
    return new Proxy(target, {
      get(_, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...args: readonly unknown[]) => {
          if (CALLS.includes(String(name))) count();
          const result: unknown = Reflect.apply(value, target, args);
          // Only the result of `prepare` has calls itself.
          return name === "prepare" ? wrap(result as StatementSync) : result;
        };
      },
    });
  }

  return {
    open(path) {
      count();
      return wrap(new DatabaseSync(path));
    },
    arm(fault, skipped, failing = 1) {
      armed = { fault, skipped, failing };
      failed = false;
    },
    disarm: () => void (armed = undefined),
    hasFailed: () => failed,
  };
}

const PREFIX = "/registry/things/";
const MINUTE = 60_000;
/** More calls than any of the tests makes. */
const MAX_CALLS = 60;

/** Writes in two commits, the second of which drops old history; records what was acknowledged in the model. */
async function write(storage: Storage, acknowledged: Map<string, number>, round: string): Promise<number> {
  const a = await storage.get(`${PREFIX}a`);
  const doomed = await storage.get(`${PREFIX}doomed`);
  const outcomes = await Promise.allSettled([
    storage.update(`${PREFIX}a`, thing("a", round), a?.revision ?? 0).then(({ key, revision }) => {
      acknowledged.set(key, revision);
    }),
    storage.create(`${PREFIX}${round}`, thing(round)).then(({ key, revision }) => acknowledged.set(key, revision)),
    storage.transact(creations(`${round}-both`)).then((changes) => {
      for (const { key, revision } of changes) acknowledged.set(key, revision);
    }),
    ...(doomed === undefined ? [] : [
      storage.delete(doomed.key, doomed.revision).then(() => acknowledged.delete(doomed.key)),
    ]),
  ]);
  let refused = 0;
  for (const outcome of outcomes) {
    if (outcome.status === "fulfilled") continue;
    refused++;
    assert.ok(isAppError(outcome.reason, "io"), String(outcome.reason));
    assert.notEqual(outcome.reason.hint, undefined);
  }
  return refused;
}

/**
 * The faults with which a run begins; the calls then have them in turn. A fault affects only the advice in the error, so
 * one for each call is enough. In the full run, each call has each of them.
 */
const FIRST_FAULTS = isFullRun ? [...DISK_FAULTS.keys()] : [0];

/** Returns the faults in turn. */
function toFault(first: number, call: number): DiskFault {
  return DISK_FAULTS[(first + call) % DISK_FAULTS.length]!;
}

const RUNS = [1, Infinity].flatMap((failing) => FIRST_FAULTS.map((first) => ({ failing, first })));
for (const { failing, first } of RUNS) {
  const length = failing === 1 ? "once" : "from then on";
  test(`a store whose disk fails at each of its calls ${length} refuses and recovers, fault ${first} first`, async () => {
    let refusals = 0;
    for (let call = 0, isOver = false; !isOver; call++) {
      assert.ok(call < MAX_CALLS);
      await using folder = await createTempFolder();
      const path = folder.join("tlsboot.db");
      const clock = createFakeClock();
      const databases = createFaultyDatabases();
      const storage = await openSqliteStorage({ path, clock, openDatabase: databases.open });
      const acknowledged = new Map<string, number>();
      for (const name of ["a", "doomed"]) {
        const { key, revision } = await storage.create(PREFIX + name, thing(name));
        acknowledged.set(key, revision);
      }
      await clock.advance(6 * MINUTE);

      databases.arm(toFault(first, call), call, failing);
      const refused = await write(storage, acknowledged, "first") + await write(storage, acknowledged, "second");
      isOver = !databases.hasFailed();
      assert.equal(refused > 0, !isOver);
      if (refused > 0) refusals++;
      assert.deepEqual(await readContent(storage), acknowledged, `after call ${call}`);
      if (failing === Infinity && !isOver) {
        await assert.rejects(storage.health(), (error) => isAppError(error, "io"));
      }

      databases.disarm();
      await storage.health();
      assert.equal(await write(storage, acknowledged, "third"), 0);
      assert.deepEqual(await readContent(storage), acknowledged);
      await storage[Symbol.asyncDispose]();
      await using again = await openSqliteStorage({ path, clock });
      assert.deepEqual(await readContent(again), acknowledged, `after call ${call}, opened again`);
    }
    assert.ok(refusals >= 8, `${refusals}: begin, each row, commit, and again`);
  });
}

for (const [isNew, first] of [true, false].flatMap((isNew) => FIRST_FAULTS.map((first) => [isNew, first] as const))) {
  const state = isNew ? "new" : "existing";
  test(`openSqliteStorage() of ${state} files on a disk that fails at each call reports it and keeps the store whole, fault ${first} first`, async () => {
    for (let call = 0, isOver = false; !isOver; call++) {
      assert.ok(call < MAX_CALLS);
      await using folder = await createTempFolder();
      const path = folder.join("tlsboot.db");
      const clock = createFakeClock();
      const acknowledged = new Map<string, number>();
      if (!isNew) {
        await using before = await openSqliteStorage({ path, clock });
        const { key, revision } = await before.create(`${PREFIX}a`, thing("a"));
        acknowledged.set(key, revision);
      }
      const databases = createFaultyDatabases();
      databases.arm(toFault(first, call), call);
      const opened = await openSqliteStorage({ path, clock, openDatabase: databases.open }).catch(
        (error: unknown) => {
          assert.ok(isAppError(error, "io"), String(error));
          assert.ok(error.message.includes(path) && error.hint !== undefined);
        },
      );
      isOver = !databases.hasFailed();
      assert.equal(opened !== undefined, isOver);
      await opened?.[Symbol.asyncDispose]();
      await using again = await openSqliteStorage({ path, clock });
      assert.deepEqual(await readContent(again), acknowledged, `after call ${call}`);
    }
  });
}
