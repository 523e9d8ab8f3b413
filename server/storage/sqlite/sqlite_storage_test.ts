import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readdirSync, readlinkSync, statSync, utimesSync, writeFileSync } from "node:fs";
import {
  copyFile,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { isAppError } from "../../../core/errors.ts";
import {
  collect,
  describeEvents,
  findCompactedRevision,
  readContent,
  thing,
} from "../../../tests/support/stored_things.ts";
import { createFakeClock, until } from "../../../tests/support/fake_clock.ts";
import { createTempFolder } from "../../../tests/support/temp.ts";
import { assertFileIntact } from "./check.ts";
import { createRestoredDatabase, openSqliteStorage } from "./sqlite_storage.ts";
import { CompactedError, type Storage } from "../storage.ts";
import { createStored } from "../stored.ts";

const PREFIX = "/registry/things/";
const MINUTE = 60_000;

/** A database whose handle the test keeps. */
function keepDatabase(): { database: () => DatabaseSync; openDatabase: (path: string) => DatabaseSync } {
  let kept: DatabaseSync | undefined;
  return { database: () => kept!, openDatabase: (path) => kept = new DatabaseSync(path) };
}

async function writeSome(storage: Storage): Promise<void> {
  const a = await storage.create(`${PREFIX}a`, thing("a", "first"));
  const b = await storage.create(`${PREFIX}b`, thing("b", "needle"));
  await storage.update(`${PREFIX}a`, thing("a", "second"), a.revision);
  await storage.delete(`${PREFIX}b`, b.revision);
  await storage.create(`${PREFIX}c`, thing("c", "😀"));
}

test("openSqliteStorage() restores everything: objects, past states, changes, the counter", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  const clock = createFakeClock();
  const before = await openSqliteStorage({ path, clock });
  const first = before.revision();
  await writeSome(before);
  await before.create(`${PREFIX}b`, thing("b", "again"));
  const { events } = collect(before, "/registry/", first);
  const newest = before.revision();
  const pages = await Promise.all(
    [first, first + 1, first + 3, newest].map((revision) => before.list("/registry/", { revision })),
  );
  await before[Symbol.asyncDispose]();
  assert.deepEqual(await readdir(folder.path), ["tlsboot.db"]);

  await using after = await openSqliteStorage({ path, clock });
  assert.equal(after.revision(), newest);
  for (const page of pages) assert.deepEqual(await after.list("/registry/", { revision: page.revision }), page);
  assert.deepEqual(collect(after, "/registry/", first).events, events);
  assert.equal((await after.create(`${PREFIX}d`, thing("d"))).revision, newest + 1);
});

test("openSqliteStorage() records what is compacted, and keeps no row that cannot be requested", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  const clock = createFakeClock();
  const { database, openDatabase } = keepDatabase();
  const before = await openSqliteStorage({ path, clock, openDatabase });
  await writeSome(before);
  const old = before.revision();
  await clock.advance(6 * MINUTE);
  await before.create(`${PREFIX}d`, thing("d"));
  assert.equal(findCompactedRevision(before), old);
  assert.deepEqual(database().prepare("SELECT count(*) AS rows FROM changes").get()?.["rows"], 3);
  await before[Symbol.asyncDispose]();

  await using after = await openSqliteStorage({ path, clock });
  assert.equal(findCompactedRevision(after), old);
  assert.throws(() => collect(after, PREFIX, old - 1), CompactedError);
  assert.equal((await after.list(PREFIX, { revision: old })).items.length, 2);
  assert.deepEqual(describeEvents(collect(after, PREFIX, old).events), [`${old + 1} things/d ->${old + 1}`]);
  await clock.advance(6 * MINUTE);
  const d = (await after.get(`${PREFIX}d`))!;
  assert.equal((await after.delete(d.key, d.revision)).revision, old + 2);
});

test("openSqliteStorage() drops the history of a burst gradually", async () => {
  await using folder = await createTempFolder();
  const clock = createFakeClock();
  await using storage = await openSqliteStorage({ path: folder.join("tlsboot.db"), clock });
  await Promise.all(Array.from({ length: 1000 }, (_, i) => storage.create(`${PREFIX}${i}`, thing("x"))));
  await clock.advance(6 * MINUTE);
  const compacted: number[] = [];
  for (let i = 0; i < 6; i++) {
    await storage.create(`${PREFIX}later-${i}`, thing("x"));
    compacted.push(findCompactedRevision(storage));
  }
  assert.deepEqual(compacted, [202, 403, 604, 805, 1001, 1001]);
});

test("openSqliteStorage() lets Events expire an hour after they were written, also by an earlier process", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  const clock = createFakeClock();
  const before = await openSqliteStorage({ path, clock });
  await before.create("/registry/events/default/a", thing("a"));
  await before.create(`${PREFIX}a`, thing("a"));
  await before[Symbol.asyncDispose]();
  assert.equal(clock.sleepers, 0);
  clock.jump(59 * MINUTE);
  await using after = await openSqliteStorage({ path, clock });
  await clock.advance(MINUTE - 1);
  // An earlier deletion would be committed with this write or before it.
  await after.create(`${PREFIX}b`, thing("b"));
  assert.equal((await after.list("/registry/events/")).items.length, 1);
  const { events } = collect(after, "/registry/events/", after.revision());
  await clock.advance(1);
  await until(() => events.length > 0);
  assert.equal(clock.sleepers, 0);
  assert.deepEqual([...(await readContent(after)).keys()], [`${PREFIX}a`, `${PREFIX}b`]);
});

for (
  const { name, damage, want } of [
    { name: "text", damage: (path: string) => writeFile(path, "certificates\n".repeat(1000)), want: /not a database/ },
    { name: "less than a header", damage: (path: string) => truncate(path, 20), want: /not a database/ },
    { name: "the first half of itself", damage: cutInHalf, want: /malformed|Tree|page|database/ },
    { name: "a database of another program", damage: makeForeign, want: /another program/ },
    { name: "a newer format", damage: makeNewer, want: /has format 2, but this program knows only 1/ },
    {
      name: "a flipped bit in a value",
      damage: (path: string) => replaceOnce(path, "needle", "needlf"),
      want: /"\/registry\/things\/b" is damaged/,
    },
    {
      name: "a flipped bit in a key",
      damage: (path: string) => replaceOnce(path, "things/b", "things/d"),
      want: /"\/registry\/things\/d" is damaged/,
    },
    { name: "zeros in the middle", damage: zeroSecondPage, want: /storage/ },
    { name: "a wrong number of free pages", damage: countFreePages, want: /[Ff]reelist/ },
  ]
) {
  test(`openSqliteStorage() refuses ${name} and does not change the file`, async () => {
    await using folder = await createTempFolder();
    const path = folder.join("tlsboot.db");
    const storage = await openSqliteStorage({ path, clock: createFakeClock() });
    await writeSome(storage);
    await storage[Symbol.asyncDispose]();
    assertFileIntact(path);
    await damage(path);
    const before = await readFile(path);
    const isRefusal = (error: unknown) => {
      assert.ok(isAppError(error, "storage_corrupt"), String(error));
      assert.match(error.message, want);
      assert.ok(error.message.includes(path) && error.hint !== undefined);
      return true;
    };
    const log = Buffer.alloc(32, 1);
    for (const remains of [[], [], ["-shm", "-wal"], ["-wal"]]) {
      for (const suffix of remains) await writeFile(`${path}${suffix}`, log);
      await assert.rejects(openSqliteStorage({ path, clock: createFakeClock() }), isRefusal);
      assert.throws(() => assertFileIntact(path), isRefusal);
      assert.deepEqual(await readFile(path), before);
      assert.deepEqual((await readdir(folder.path)).sort(), ["", ...remains].map((suffix) => `tlsboot.db${suffix}`));
      if (remains.length > 0) assert.deepEqual(await readFile(`${path}-wal`), log);
      await rm(`${path}-shm`, { force: true });
    }
  });
}

/** The places of a page that are changed: its header, its table of cells, and its cells from the middle to the end. */
const DAMAGED_OFFSETS = [
  0,
  1,
  2,
  3,
  4,
  5,
  7,
  8,
  9,
  11,
  12,
  13,
  24,
  40,
  60,
  100,
  500,
  2_048,
  3_000,
  3_900,
  4_000,
  4_060,
  4_090,
  4_095,
];

test("openSqliteStorage() serves no wrong object after a flipped bit in any page, but refuses the file", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  const clock = createFakeClock();
  {
    await using storage = await openSqliteStorage({ path, clock });
    const write = (name: string, value: string) => storage.create(`${PREFIX}${name}`, thing(name, value));
    // Overflow pages of a large value, an inner page above the leaves, and free pages of dropped history.
    const large = await write("large", "x".repeat(20_000));
    await write("overflowing", "y".repeat(9_000));
    await storage.delete(large.key, large.revision);
    for (let number = 0; number < 300; number++) await write(`${number}`, "a value of some length");
    await clock.advance(6 * MINUTE);
    for (const name of ["a", "b", "c"]) await write(name, "later");
  }
  const good = await readFile(path);
  const dump = async () => {
    await using storage = await openSqliteStorage({ path, clock });
    const compacted = findCompactedRevision(storage);
    const { items } = await storage.list("/registry/");
    const { events } = collect(storage, "/registry/", compacted);
    const objects = JSON.stringify(items.map(({ key, revision, object }) => [key, revision, object]));
    return { objects, events: describeEvents(events) };
  };
  const want = await dump();
  assert.deepEqual(await readFile(path), good);
  let [refused, same] = [0, 0];
  for (let page = 0; page < good.length; page += PAGE_BYTES) {
    for (const offset of DAMAGED_OFFSETS) {
      const bad = Buffer.from(good);
      bad[page + offset]! ^= 1 << ((page / PAGE_BYTES + offset) % 8);
      await writeFile(path, bad);
      const found = await dump().catch((error: unknown) => {
        assert.ok(isAppError(error, "storage_corrupt"), `byte ${page + offset}: ${error}`);
        assert.ok(error.message.includes(path) && error.hint !== undefined);
        return undefined;
      });
      // Otherwise it is an unused byte, the time of a write, by which only events expire and changes are forgotten, or a
      // compacted revision that is too high: a client that would resume before it lists again.
      if (found === undefined) refused++;
      else {
        same++;
        assert.ok(found.objects === want.objects, `byte ${page + offset} changes an object`);
        assert.deepEqual(want.events.slice(want.events.length - found.events.length), found.events);
      }
      for (const suffix of ["-wal", "-shm", "-journal"]) await rm(`${path}${suffix}`, { force: true });
    }
  }
  assert.ok(refused > 300 && same > 0, `${refused} refused, ${same} the same`);
});

test("openSqliteStorage() refuses a compacted revision that is too low, and accepts one of an earlier build", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  const clock = createFakeClock();
  {
    await using storage = await openSqliteStorage({ path, clock });
    await writeSome(storage);
    await clock.advance(6 * MINUTE);
    await storage.create(`${PREFIX}d`, thing("d"));
    assert.ok(findCompactedRevision(storage) > 2);
  }
  const change = (sql: string) => {
    const database = new DatabaseSync(path);
    database.exec(sql);
    database.close();
  };
  change("UPDATE numbers SET value = value - 1 WHERE name = 'compacted_revision'");
  const opening = openSqliteStorage({ path, clock });
  await assert.rejects(opening, (error) => isAppError(error, "storage_corrupt") && /compacted/.test(error.message));
  change("UPDATE numbers SET value = value + 1 WHERE name = 'compacted_revision'");
  change("UPDATE numbers SET value = value - 1 WHERE name <> 'compacted_revision'");
  await (await openSqliteStorage({ path, clock }))[Symbol.asyncDispose]();
  change("DELETE FROM numbers WHERE name <> 'compacted_revision'");
  await using storage = await openSqliteStorage({ path, clock });
  assert.equal((await storage.list(PREFIX)).items.length, 3);
});

test("openSqliteStorage() changes neither a damaged file nor the remains of a crash next to it", async () => {
  await using folder = await createTempFolder();
  const open = folder.join("open.db");
  await (await openSqliteStorage({ path: open, clock: createFakeClock() }))[Symbol.asyncDispose]();
  await using storage = await openSqliteStorage({ path: open, clock: createFakeClock() });
  await writeSome(storage);
  assertFileIntact(open);
  await using left = await createTempFolder();
  const path = left.join("tlsboot.db");
  for (const suffix of ["", "-wal"]) await copyFile(`${open}${suffix}`, `${path}${suffix}`);
  const read = async () =>
    await Promise.all(
      (await readdir(left.path)).map(async (name) => [name, await readFile(left.join(name))] as const),
    );
  const refuse = async (want: RegExp) => {
    const before = await read();
    assert.ok(before.some(([name, { length }]) => name === "tlsboot.db-wal" && length > 0));
    await assert.rejects(openSqliteStorage({ path, clock: createFakeClock() }), (error) => {
      return isAppError(error, "storage_corrupt") && want.test(error.message);
    });
    assert.deepEqual(await read(), before);
  };
  const sound = await readFile(path);
  await writeFile(path, Buffer.from(sound).fill(0, 8192));
  await refuse(/storage/);
  await writeFile(`${path}-journal`, Buffer.alloc(512));
  await refuse(/storage/);
  await rm(`${path}-journal`);
  await truncate(path, 0);
  await refuse(/missing or empty/);
  await rm(path);
  await refuse(/missing or empty/);
  await writeFile(path, sound);
  await using again = await openSqliteStorage({ path, clock: createFakeClock() });
  assert.equal((await stat(`${path}-wal`)).size, 0);
  assert.deepEqual(await again.list(PREFIX), await storage.list(PREFIX));
});

async function cutInHalf(path: string): Promise<void> {
  const { size } = await stat(path);
  await truncate(path, Math.floor(size / 2 / 4096) * 4096);
}

async function makeForeign(path: string): Promise<void> {
  await rm(path);
  const database = new DatabaseSync(path);
  database.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)");
  database.close();
}

async function makeNewer(path: string): Promise<void> {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA user_version = 2");
  database.close();
}

async function replaceOnce(path: string, from: string, to: string): Promise<void> {
  const bytes = await readFile(path);
  bytes.write(to, bytes.indexOf(from), "latin1");
  await writeFile(path, bytes);
}

async function countFreePages(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes.writeUInt32BE(5, 36);
  await writeFile(path, bytes);
}

async function zeroSecondPage(path: string): Promise<void> {
  const bytes = await readFile(path);
  await writeFile(path, bytes.fill(0, 4096, 8192));
}

const PAGE_BYTES = 4_096;

/**
 * A rollback journal (sqlite.org/fileformat.html, section 3) of a file that had so many pages before, with a copy of its
 * first page.
 */
function createJournal(sizeBefore: number, firstPage?: Buffer): Buffer {
  const header = Buffer.alloc(512);
  Buffer.from("d9d505f920a163d7", "hex").copy(header);
  header.writeUInt32BE(firstPage === undefined ? 0 : 1, 8);
  header.writeUInt32BE(sizeBefore, 16);
  header.writeUInt32BE(512, 20);
  header.writeUInt32BE(PAGE_BYTES, 24);
  if (firstPage === undefined) return header;
  const record = Buffer.alloc(PAGE_BYTES + 8);
  record.writeUInt32BE(1);
  firstPage.copy(record, 4);
  let checksum = 0;
  for (let at = PAGE_BYTES - 200; at > 0; at -= 200) checksum += firstPage[at]!;
  record.writeUInt32BE(checksum, PAGE_BYTES + 4);
  return Buffer.concat([header, record]);
}

test("openSqliteStorage() starts with an empty store after a power failure during the first transaction only", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  const torn = Buffer.concat([Buffer.alloc(PAGE_BYTES), Buffer.alloc(PAGE_BYTES, 7)]);
  await writeFile(path, torn);
  for (const journal of [createJournal(2), createJournal(0).fill(0, 0, 8), createJournal(0).subarray(0, 511)]) {
    await writeFile(`${path}-journal`, journal);
    const opening = openSqliteStorage({ path, clock: createFakeClock() });
    await assert.rejects(opening, (error) => isAppError(error, "storage_corrupt"));
    assert.deepEqual(await readFile(path), torn);
    assert.deepEqual(await readFile(`${path}-journal`), journal);
  }
  await writeFile(`${path}-journal`, createJournal(0));
  {
    await using storage = await openSqliteStorage({ path, clock: createFakeClock() });
    await storage.create(`${PREFIX}a`, thing("a"));
  }
  await using again = await openSqliteStorage({ path, clock: createFakeClock() });
  assert.equal((await again.list(PREFIX)).items.length, 1);
});

test("openSqliteStorage() opens a new file whose last rollback journal came back after a power failure", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  await (await openSqliteStorage({ path, clock: createFakeClock() }))[Symbol.asyncDispose]();
  const bytes = await readFile(path);
  // The journal is of the change to a -wal, of which only the header was written.
  await writeFile(`${path}-journal`, createJournal(bytes.length / PAGE_BYTES, bytes.subarray(0, PAGE_BYTES)));
  await writeFile(`${path}-wal`, Buffer.alloc(32, 1));
  await using storage = await openSqliteStorage({ path, clock: createFakeClock() });
  await storage.create(`${PREFIX}a`, thing("a"));
  assert.equal((await storage.list(PREFIX)).items.length, 1);
});

test("openSqliteStorage() throws io for a path where no file can exist", async () => {
  await using folder = await createTempFolder();
  for (
    const { path, want } of [
      { path: folder.join("missing", "tlsboot.db"), want: /: ENOENT: .*, open / },
      { path: folder.path, want: /: EISDIR: / },
    ]
  ) {
    await assert.rejects(openSqliteStorage({ path, clock: createFakeClock() }), (error) => {
      assert.ok(isAppError(error, "io") && error.message.includes(path) && error.hint !== undefined);
      assert.match(error.message, want);
      return true;
    });
  }
});

test("openSqliteStorage() refuses a log that changes while it is read, and leaves it", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  await (await openSqliteStorage({ path, clock: createFakeClock() }))[Symbol.asyncDispose]();
  const log = `${path}-wal`;
  await writeFile(log, Buffer.alloc(32, 1));
  const openDatabase = (name: string) => {
    writeFileSync(log, Buffer.alloc(32, 2));
    return new DatabaseSync(name);
  };
  const opening = openSqliteStorage({ path, clock: createFakeClock(), openDatabase });
  await assert.rejects(
    opening,
    (error) => isAppError(error, "io") && /two reads of its log differ/.test(error.message),
  );
});

test("openSqliteStorage() writes a log again before it merges it, and leaves one that it cannot merge", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  await (await openSqliteStorage({ path, clock: createFakeClock() }))[Symbol.asyncDispose]();
  const log = Buffer.alloc(32, 1);
  await writeFile(`${path}-wal`, log);
  let mergedAt = 0;
  const openDatabase = (name: string) => {
    utimesSync(`${path}-wal`, 0, 0);
    const database = new DatabaseSync(name);
    const prepare = database.prepare.bind(database);
    database.prepare = (sql) => {
      if (!sql.includes("wal_checkpoint")) return prepare(sql);
      mergedAt = statSync(`${path}-wal`).mtimeMs;
      return prepare("SELECT 1 AS busy");
    };
    return database;
  };
  const opening = openSqliteStorage({ path, clock: createFakeClock(), openDatabase });
  await assert.rejects(opening, (error) => isAppError(error, "io") && /log cannot be merged/.test(error.message));
  assert.ok(mergedAt > 0, "SQLite wrote nothing, so the log was written again");
  assert.deepEqual(await readFile(`${path}-wal`), log);
});

test("openSqliteStorage() refuses a format that became newer after it was checked", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  await (await openSqliteStorage({ path, clock: createFakeClock() }))[Symbol.asyncDispose]();
  const openDatabase = (name: string) => {
    const database = new DatabaseSync(name);
    database.exec("PRAGMA user_version = 2");
    return database;
  };
  const opening = openSqliteStorage({ path, clock: createFakeClock(), openDatabase });
  await assert.rejects(opening, (error) => isAppError(error, "storage_corrupt") && /format 2/.test(error.message));
});

test("openSqliteStorage() refuses a file that this process uses, by any name, without opening it", async () => {
  await using folder = await createTempFolder();
  const [path, link] = [folder.join("tlsboot.db"), folder.join("link.db")];
  const opened: string[] = [];
  const openDatabase = (name: string) => {
    opened.push(name);
    return new DatabaseSync(name);
  };
  const open = (name: string) => openSqliteStorage({ path: name, clock: createFakeClock(), openDatabase });
  const storage = await open(path);
  await symlink(path, link);
  for (const name of [path, link]) {
    await assert.rejects(open(name), (error) => isAppError(error, "storage_locked") && error.message.includes(name));
  }
  await storage[Symbol.asyncDispose]();
  await (await open(link))[Symbol.asyncDispose]();
  assert.deepEqual(opened, [path, link]);
});

test("openSqliteStorage() refuses a file that another connection uses, and leaves its log", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  await (await openSqliteStorage({ path, clock: createFakeClock() }))[Symbol.asyncDispose]();
  const other = new DatabaseSync(path);
  other.exec("PRAGMA locking_mode = EXCLUSIVE; INSERT INTO numbers VALUES ('other', 1)");
  assert.ok((await stat(`${path}-wal`)).size > 0);
  const before = await readdir(folder.path);
  const opening = openSqliteStorage({ path, clock: createFakeClock() });
  await assert.rejects(opening, (error) => isAppError(error, "storage_locked"));
  assert.deepEqual(await readdir(folder.path), before);
  other.close();
  await (await openSqliteStorage({ path, clock: createFakeClock() }))[Symbol.asyncDispose]();
});

test("openSqliteStorage() keeps other connections out, and waits neither for them nor for the disk", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  const { database, openDatabase } = keepDatabase();
  await using storage = await openSqliteStorage({
    path,
    clock: createFakeClock(),
    openDatabase: (name) => {
      const opened = openDatabase(name);
      opened.exec("PRAGMA busy_timeout = 60000");
      return opened;
    },
  });
  await writeSome(storage);
  const other = new DatabaseSync(path);
  assert.throws(() => other.prepare("SELECT count(*) FROM changes").get(), /database is locked/);
  other.close();
  assert.deepEqual(database().prepare("PRAGMA busy_timeout").get()?.["timeout"], 0);
  // 1 is NORMAL: SQLite does not sync a commit.
  assert.deepEqual(database().prepare("PRAGMA synchronous").get()?.["synchronous"], 1);
});

test(
  "openSqliteStorage() and assertFileIntact() leave no descriptor open",
  { skip: process.platform !== "linux" },
  async () => {
    await using folder = await createTempFolder();
    const path = join(await realpath(folder.path), "tlsboot.db");
    const listOpen = () =>
      readdirSync("/proc/self/fd").flatMap((descriptor) => {
        try {
          return [readlinkSync(`/proc/self/fd/${descriptor}`)];
        } catch {
          // It was the descriptor of the list itself.
          return [];
        }
      }).filter((target) => target.startsWith(path)).sort();
    for (let round = 0; round < 2; round++) {
      const storage = await openSqliteStorage({ path, clock: createFakeClock() });
      await storage.create(`${PREFIX}${round}`, thing("a"));
      assert.deepEqual([...new Set(listOpen())], [path, `${path}-wal`]);
      await storage[Symbol.asyncDispose]();
      assertFileIntact(path);
      assert.deepEqual(listOpen(), []);
    }
  },
);

test("openSqliteStorage() follows a link to a database, but to nothing else", async () => {
  await using folder = await createTempFolder();
  const [path, link] = [folder.join("tlsboot.db"), folder.join("link.db")];
  await symlink(path, link);
  for (const prepare of [() => Promise.resolve(), () => writeFile(path, "")]) {
    await prepare();
    const opening = openSqliteStorage({ path: link, clock: createFakeClock() });
    await assert.rejects(
      opening,
      (error) => isAppError(error, "io") && /link to a missing or empty file/.test(error.message),
    );
  }
  await (await openSqliteStorage({ path, clock: createFakeClock() }))[Symbol.asyncDispose]();
  await using storage = await openSqliteStorage({ path: link, clock: createFakeClock() });
  await writeSome(storage);
});

for (
  const { fault, code, hint } of [
    { fault: { code: "ENOSPC" }, code: "io", hint: /free some space/ },
    { fault: { code: "EROFS" }, code: "io", hint: /writable/ },
    { fault: { code: "EIO" }, code: "io", hint: /disk is healthy/ },
    { fault: { errcode: 8 + 256 }, code: "io", hint: /writable/ },
    { fault: { errcode: 5 + 256 }, code: "storage_locked", hint: /stop the other/ },
    { fault: { errcode: 26 }, code: "storage_corrupt", hint: /backup/ },
    // Deno's errors have no code.
    { fault: { message: "database is locked" }, code: "storage_locked", hint: /stop the other/ },
  ]
) {
  test(`openSqliteStorage() throws ${code} for ${JSON.stringify(fault)}`, async () => {
    await using folder = await createTempFolder();
    const openDatabase = () => {
      throw Object.assign(new Error("the fault"), fault);
    };
    const opening = openSqliteStorage({ path: folder.join("tlsboot.db"), clock: createFakeClock(), openDatabase });
    await assert.rejects(opening, (error) => isAppError(error) && error.code === code && hint.test(error.hint ?? ""));
  });
}

test("openSqliteStorage() restarts its log after some megabytes", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  await using storage = await openSqliteStorage({ path, clock: createFakeClock() });
  for (let index = 0; index < 12; index++) {
    await storage.create(`${PREFIX}${index}`, thing(`${index}`, "x".repeat(1_000_000)));
  }
  const { size } = await stat(`${path}-wal`);
  assert.ok(size > 4_000_000 && size < 6_000_000, `${size}`);
});

test("createRestoredDatabase() writes a store whose history begins at the revision of the backup", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  const { bytes } = createStored(`${PREFIX}a`, thing("a"), 7);
  {
    using database = createRestoredDatabase(path, new Date(0));
    await database.add([{ key: `${PREFIX}a`, revision: 7, bytes }]);
    await database.finish(9);
  }
  await using storage = await openSqliteStorage({ path, clock: createFakeClock() });
  assert.deepEqual([storage.revision(), findCompactedRevision(storage)], [9, 9]);
  assert.deepEqual((await storage.get(`${PREFIX}a`))?.bytes, bytes);
});

test("openSqliteStorage() treats an empty file as a new store", async () => {
  await using folder = await createTempFolder();
  await writeFile(folder.join("tlsboot.db"), "");
  await using storage = await openSqliteStorage({ path: folder.join("tlsboot.db"), clock: createFakeClock() });
  await writeSome(storage);
});

test("openSqliteStorage() makes its files private, whatever the umask and their earlier mode", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  await writeFile(path, "", { mode: 0o644 });
  let modeWhenOpened = 0;
  for (const umask of [0o000, 0o277]) {
    const previous = process.umask(umask);
    try {
      await using storage = await openSqliteStorage({
        path: umask === 0 ? path : folder.join("other.db"),
        clock: createFakeClock(),
        openDatabase: (name) => {
          modeWhenOpened = statSync(name).mode & 0o777;
          return new DatabaseSync(name);
        },
      });
      await writeSome(storage);
      const files = await readdir(folder.path);
      assert.ok(files.some((file) => file.endsWith("-wal")));
      for (const file of files) assert.equal((await stat(folder.join(file))).mode & 0o777, 0o600, file);
    } finally {
      process.umask(previous);
    }
  }
  assert.equal(modeWhenOpened, 0o600, "a new file is writable for its owner before SQLite opens it");
});

for (
  const { name, breakIt, repair, hint } of [
    {
      name: "full disk",
      breakIt: (database: DatabaseSync) => database.exec(`PRAGMA max_page_count = 1`),
      repair: (database: DatabaseSync) => database.exec("PRAGMA max_page_count = 1000000"),
      hint: /free some space/,
    },
    {
      name: "read-only disk",
      breakIt: (database: DatabaseSync) => database.exec("PRAGMA query_only = 1"),
      repair: (database: DatabaseSync) => database.exec("PRAGMA query_only = 0"),
      hint: /writable/,
    },
  ]
) {
  test(`openSqliteStorage() shows nothing of a commit that failed on a ${name}, and keeps working afterwards`, async () => {
    await using folder = await createTempFolder();
    const path = folder.join("tlsboot.db");
    const { database, openDatabase } = keepDatabase();
    const storage = await openSqliteStorage({ path, clock: createFakeClock(), openDatabase });
    await writeSome(storage);
    const before = await storage.list("/registry/");
    const { events } = collect(storage, "/registry/", before.revision);
    const a = (await storage.get(`${PREFIX}a`))!;

    breakIt(database());
    const writes = await Promise.allSettled([
      storage.create(`${PREFIX}big`, thing("big", "x".repeat(100_000))),
      storage.update(`${PREFIX}a`, thing("a", 3), a.revision),
      storage.create(`${PREFIX}big`, thing("big")),
      storage.delete(`${PREFIX}a`, a.revision),
    ]);
    for (const write of writes) {
      assert.ok(write.status === "rejected" && isAppError(write.reason, "io"), "every write of the commit fails");
      assert.match(write.reason.message, /^cannot write to the storage: /);
      assert.match(write.reason.hint ?? "", hint);
    }
    assert.deepEqual(await storage.list("/registry/"), before);
    assert.equal(storage.revision(), before.revision);
    assert.deepEqual(events, []);
    if (name === "read-only disk") await assert.rejects(storage.health(), (error) => isAppError(error, "io"));

    repair(database());
    await storage.health();
    const later = await storage.update(`${PREFIX}a`, thing("a", 4), a.revision);
    assert.ok(later.revision > before.revision + 2, "the revisions of the failed commit are not used again");
    assert.deepEqual(describeEvents(events), [`${later.revision} things/a ${a.revision}>${later.revision}`]);
    await storage[Symbol.asyncDispose]();
    await using again = await openSqliteStorage({ path, clock: createFakeClock() });
    assert.deepEqual(await again.get(`${PREFIX}a`), later);
    assert.deepEqual(await again.list("/registry/", { revision: before.revision }), before);
  });
}

test("openSqliteStorage() acknowledges no write once its file was replaced", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  await using storage = await openSqliteStorage({ path, clock: createFakeClock() });
  await writeSome(storage);
  await rename(path, folder.join("elsewhere.db"));
  await assert.rejects(storage.create(`${PREFIX}d`, thing("d")), (error) => isAppError(error, "io"));
  await assert.rejects(storage.health(), (error) => isAppError(error, "io"));
  await rename(folder.join("elsewhere.db"), path);
  await storage.health();
  await storage.create(`${PREFIX}d`, thing("d"));
});
