/** The promises of the store on SQLite that need a second process: locks, and what `kill -9` leaves. */
import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { isAppError } from "../../../core/errors.ts";
import { collect, thing } from "../../../tests/support/stored_things.ts";
import { ROOT, type Running, start } from "../../../tests/support/child.ts";
import { createFakeClock } from "../../../tests/support/fake_clock.ts";
import { createTempFolder } from "../../../tests/support/temp.ts";
import { openSqliteStorage } from "./sqlite_storage.ts";

const PREFIX = "/registry/things/";

/** Starts a program that holds the store, or writes to it without end. */
function startWriter(path: string, run = ""): Running {
  const runtime = process.versions["deno"] === undefined
    ? ["--disable-warning=MODULE_TYPELESS_PACKAGE_JSON"]
    : ["run", "-A", "--no-check", "--quiet"];
  return start(process.execPath, [...runtime, join(ROOT, "tests", "support", "storage_writer.ts"), path, run]);
}

function listAcknowledged(writer: Running): { readonly revision: number; readonly key: string }[] {
  return [...writer.stdout().matchAll(/^acknowledged (\d+) (.*)$/gm)]
    .map(([, revision, key]) => ({ revision: Number(revision), key: key! }));
}

test("openSqliteStorage() loses nothing that was acknowledged before kill -9", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  const acknowledged: { readonly revision: number; readonly key: string }[] = [];
  for (const [round, objects] of [3, 29, 97].entries()) {
    await using writer = startWriter(path, `run${round}`);
    await writer.waitFor(new RegExp(`-${objects}$`, "m"));
    writer.kill("SIGKILL");
    await writer.finished();
    const news = listAcknowledged(writer);
    assert.ok(news.length > 2 * objects);
    assert.ok(news.every(({ revision }) => revision > (acknowledged.at(-1)?.revision ?? 0)), "revisions never repeat");
    acknowledged.push(...news.sort((a, b) => a.revision - b.revision));

    await using storage = await openSqliteStorage({ path, clock: createFakeClock() });
    // The log of the killed process may not have been on the disk. It is written there before a client sees its
    // changes.
    assert.equal((await stat(`${path}-wal`)).size, 0);
    const known = new Map(collect(storage, "/registry/", 1).events.map((event) => [event.revision, event.key]));
    for (const { revision, key } of acknowledged) assert.equal(known.get(revision), key);
    assert.ok(storage.revision() >= acknowledged.at(-1)!.revision);
    assertWholeTransactions(known);
  }
});

/** Asserts that the third change of each object and the creation of its companion were both stored. */
function assertWholeTransactions(changes: ReadonlyMap<number, string>): void {
  const counts = new Map<string, number>();
  for (const key of changes.values()) counts.set(key, (counts.get(key) ?? 0) + 1);
  const companions = [...counts.keys()].filter((key) => key.startsWith("/registry/companions/"));
  const changedLast = [...counts].flatMap(([key, count]) => count === 3 ? [key.replace("things", "companions")] : []);
  assert.ok(companions.length > 0);
  assert.deepEqual(companions.toSorted(), changedLast.toSorted());
}

test("openSqliteStorage() refuses a file that another process uses, until that process is gone", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  const refused = (error: unknown) =>
    isAppError(error, "storage_locked") && error.message.includes(path) && error.hint !== undefined;
  await using holder = startWriter(path);
  await holder.waitFor(/^open$/m);
  await assert.rejects(openSqliteStorage({ path, clock: createFakeClock() }), refused);
  holder.kill("SIGKILL");
  await holder.finished();

  await using storage = await openSqliteStorage({ path, clock: createFakeClock() });
  await assert.rejects(openSqliteStorage({ path, clock: createFakeClock() }), refused);
  // The refusal within this process must not have released the lock against others.
  await using second = startWriter(path);
  await second.waitFor(/failed storage_locked/);
  await storage.create(`${PREFIX}a`, thing("a"));
});
