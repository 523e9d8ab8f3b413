import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { formatRestoreMarker, RESTORE_MARKER_KEY } from "./restore_plan.ts";
import { assertNoMarker, assertNotRestoring, findRestoreMarker } from "./restore_marker.ts";

const marker = { backup: "aa", createdAt: "2026-11-25", phase: "writing", aside: [] } as const;
const kv = (key: string, text = "") => ({ key, modRevision: 4, version: 1, value: Buffer.from(text) });
const others = [kv("/registry/a"), kv("/registry/tlsboot/restore-2")];
const among = [...others, kv(RESTORE_MARKER_KEY, formatRestoreMarker(marker))];

/** An etcd that has these keys. */
const createClient = (kvs: readonly ReturnType<typeof kv>[]) => ({
  range: async ({ key }: { key: string }) => ({
    ...{ revision: 9, more: false, count: 0 },
    kvs: kvs.filter((one) => one.key === key),
  }),
});

test("assertNoMarker() and assertNotRestoring() refuse a prefix with a restore under way, and nothing else", async () => {
  assertNoMarker(others, "/instances/one");
  await assertNotRestoring(createClient(others), "/instances/one");
  const refusal = {
    ...{ name: "AppError", code: "storage_corrupt" },
    message: 'cannot use what is below "/instances/one" in etcd: a restore of the backup of 2026-11-25 is not finished',
  };
  assert.throws(() => assertNoMarker(among, "instances/one/"), refusal);
  await assert.rejects(assertNotRestoring(createClient(among), "instances/one/"), refusal);
});

test("findRestoreMarker() finds it with its revision, and refuses one that it cannot read", async () => {
  assert.equal(await findRestoreMarker(createClient(others)), undefined);
  assert.deepEqual(await findRestoreMarker(createClient(among)), { marker, modRevision: 4 });
  const strange = createClient([kv(RESTORE_MARKER_KEY, "{}")]);
  await assert.rejects(findRestoreMarker(strange), { code: "storage_corrupt", message: /it is of another version/ });
});
