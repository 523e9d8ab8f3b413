/** A write is acknowledged when its log is on the disk, and all writing ends when the disk did not keep it. */
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { copyFile, open } from "node:fs/promises";
import { test } from "node:test";
import { type AppError, isAppError } from "../../../core/errors.ts";
import { collect, readContent, thing } from "../../../tests/support/stored_things.ts";
import { createFakeClock, settle, until } from "../../../tests/support/fake_clock.ts";
import { createTempFolder } from "../../../tests/support/temp.ts";
import { openSqliteStorage } from "./sqlite_storage.ts";

const PREFIX = "/registry/things/";

test("openSqliteStorage() acknowledges and shows a write once its log is on the disk, and reads meanwhile", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  const syncs: PromiseWithResolvers<void>[] = [];
  const sync = (): Promise<void> => {
    syncs.push(Promise.withResolvers<void>());
    return syncs.at(-1)!.promise;
  };
  const storage = await openSqliteStorage({ path, clock: createFakeClock(), sync });
  const { events } = collect(storage, PREFIX, storage.revision());
  let isAcknowledged = false;
  const created = storage.create(`${PREFIX}a`, thing("a")).then((stored) => {
    isAcknowledged = true;
    return stored;
  });
  await until(() => syncs.length === 1);
  await settle(20);
  assert.equal(isAcknowledged, false);
  assert.equal(await storage.get(`${PREFIX}a`), undefined);
  assert.deepEqual(events, []);
  syncs[0]!.resolve();
  assert.equal((await created).revision, storage.revision());
  assert.equal(events.length, 1);
  await storage[Symbol.asyncDispose]();
  assert.equal(syncs.length, 1);
});

test("openSqliteStorage() moves a large commit into its file only once the log is on the disk", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("tlsboot.db");
  const sizes: number[] = [];
  const sync = async () => void sizes.push(statSync(path).size);
  await using storage = await openSqliteStorage({ path, clock: createFakeClock(), sync });
  const { size } = statSync(path);
  const value = "x".repeat(1_000_000);
  await Promise.all(["a", "b", "c", "d", "e"].map((name) => storage.create(PREFIX + name, thing(name, value))));
  assert.deepEqual(sizes, [size]);
  assert.ok(statSync(path).size > 5_000_000);
});

for (const loses of [false, true]) {
  const what = loses ? "and loses the write" : "but may keep the write";
  test(`a store whose sync fails ${what} refuses all further writes, and a new start has every acknowledged write`, async () => {
    await using folder = await createTempFolder();
    const path = folder.join("tlsboot.db");
    const log = `${path}-wal`;
    const clock = createFakeClock();
    let isFailing = false;
    let kept = 0;
    const sync = async (): Promise<void> => {
      if (!isFailing) {
        kept = statSync(log).size;
        return;
      }
      const lost = statSync(log).size - kept;
      assert.ok(lost > 0);
      // Like a kernel that drops the pages that it could not write.
      if (loses) {
        const file = await open(log, "r+");
        await file.write(new Uint8Array(lost), 0, lost, kept);
        await file.close();
      }
      throw Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" });
    };
    const lost: AppError[] = [];
    const storage = await openSqliteStorage({ path, clock, sync, onLost: (error) => lost.push(error) });
    // These are so few that the log does not restart meanwhile.
    for (let i = 0; i < 100; i++) await storage.create(`${PREFIX}n${i}`, thing(`n${i}`, "x".repeat(9_000)));
    const content = await readContent(storage);
    isFailing = true;
    const first = storage.create(`${PREFIX}lost`, thing("lost"));
    await assert.rejects(first, (error) => isAppError(error, "io") && error.hint !== undefined);
    isFailing = false;
    await assert.rejects(storage.create(`${PREFIX}after`, thing("after")), (error) => isAppError(error, "io"));
    await assert.rejects(storage.health(), (error) => isAppError(error, "io"));
    assert.deepEqual(await readContent(storage), content);
    assert.deepEqual(lost.map(({ message }) => message.includes("EIO")), [true]);
    await storage[Symbol.asyncDispose]();

    // The process would end here, and the next one would find these files.
    const left = folder.join("left.db");
    for (const suffix of ["", "-wal"]) await copyFile(`${path}${suffix}`, `${left}${suffix}`);
    await using again = await openSqliteStorage({ path: left, clock });
    const found = new Map(await readContent(again));
    assert.equal(found.delete(`${PREFIX}lost`), !loses);
    assert.deepEqual(found, content);
    await again.create(`${PREFIX}again`, thing("again"));
  });
}
