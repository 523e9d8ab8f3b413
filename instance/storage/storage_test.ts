import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSpaceWatch, createStorageSpaceCheck } from "./storage.ts";

const MEGABYTE = 1_048_576;
const DATA = { path: "/data", what: "data directory" };
const LOG = { path: "/log", what: "audit log" };

test("createStorageSpaceCheck() fails with less space than the limit, but never with a limit of 0", async () => {
  const place = { path: tmpdir(), what: "audit log" };
  await createStorageSpaceCheck([place], 0).check();
  await createStorageSpaceCheck([place], 0.001).check();
  await assert.rejects(
    createStorageSpaceCheck([place], 1e12).check(),
    /^Error: the disk of the audit log has \d+ MB left, less than 1000000000000$/,
  );
});

test("createSpaceWatch() logs when a disk is almost full, and when it has space again", async () => {
  const logger = createMemoryLogger();
  const megabytes: Record<string, number> = { "/data": 100, "/log": 100 };
  const free = (path: string) => Promise.resolve((megabytes[path] ?? 0) * MEGABYTE);
  const check = createSpaceWatch([DATA, LOG], 64, { logger, free });
  const readLog = async () => {
    const before = logger.entries.length;
    await check();
    return logger.entries.slice(before).map(({ level, fields }) => [level, fields["path"], fields["megabytes"]]);
  };
  assert.deepEqual(await readLog(), []);
  megabytes["/log"] = 63.9;
  assert.deepEqual(await readLog(), [["warn", "/log", 63]]);
  assert.deepEqual(await readLog(), [], "once");
  megabytes["/log"] = 64;
  assert.deepEqual(await readLog(), [["info", "/log", 64]]);
});

test("createSpaceWatch() continues when a disk cannot be read, and logs nothing with a limit of 0", async () => {
  const logger = createMemoryLogger();
  const free = (path: string) => path === "/data" ? Promise.reject(new Error("gone")) : Promise.resolve(0);
  await createSpaceWatch([DATA, LOG], 64, { logger, free })();
  assert.deepEqual(logger.entries.map(({ message, fields }) => [message, fields["path"]]), [
    ["the free space of a disk cannot be read", "/data"],
    ["a disk is almost full", "/log"],
  ]);
  const quiet = createMemoryLogger();
  await createSpaceWatch([LOG], 0, { logger: quiet, free })();
  assert.deepEqual(quiet.entries, []);
});
