import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { RevocationTarget } from "../../core/revocation/revocation.ts";
import type { RecordEdit } from "../../tests/support/issued_records.ts";
import { openRevocationStore } from "../../tests/support/revocation_store.ts";
import { RecordMarks } from "./record_marks.ts";

const NEVER = new AbortController().signal;
const ALICE: RevocationTarget = { kind: "user", value: "alice" };

/** Creates the marks of a store, and counts the reads of its whole register. */
async function setUp(...edits: readonly RecordEdit[]) {
  const store = await openRevocationStore(...edits);
  const { storage, revocations, readRecord } = store;
  let reads = 0;
  const list = storage.list.bind(storage);
  storage.list = (...page) => {
    reads += 1;
    return list(...page);
  };
  const readMark = async (sequence: number) =>
    ((await readRecord(sequence)).object as IssuedCertificate).status.revocation?.name;
  return { ...store, marks: new RecordMarks({ storage, revocations }), readMark, countReads: () => reads };
}

test("RecordMarks reads the register once after each change of the Revocations, and otherwise new records", async () => {
  const { marks, record, readRecord, readMark, revoke, takeBack, countReads } = await setUp(
    { subject: "CN=alice" },
    { subject: "CN=bob" },
  );
  assert.ok(marks.isDue);
  assert.equal(await marks.update(NEVER), 0);
  assert.equal(countReads(), 0, "nothing is revoked or marked");
  await revoke(ALICE);
  assert.ok(marks.isDue);
  assert.equal(await marks.update(NEVER), 1);
  assert.deepEqual([await readMark(1), await readMark(2)], ["user:alice", undefined]);
  assert.equal(marks.isDue, false);
  await record({ subject: "CN=carol" });
  assert.equal(marks.isDue, false, "the new record needs no mark");
  await record({ subject: "CN=alice" });
  assert.ok(marks.isDue);
  assert.equal(await marks.update(NEVER), 1);
  assert.equal(await readMark(4), "user:alice");
  assert.equal(countReads(), 1);
  await takeBack(ALICE);
  assert.equal(await marks.update(NEVER), 2);
  assert.deepEqual(((await readRecord(1)).object as IssuedCertificate).status, {});
  assert.equal(countReads(), 2);
});

test("RecordMarks does not write new records that are gone or marked before the update", async () => {
  const { marks, storage, record, readRecord, revoke } = await setUp({ subject: "CN=alice" });
  await revoke(ALICE);
  await marks.update(NEVER);
  await record({ subject: "CN=alice" });
  await record({ subject: "CN=alice" });
  const [marked, second, third] = [await readRecord(1), await readRecord(2), await readRecord(3)];
  const { status } = marked.object as IssuedCertificate;
  const { revision } = await storage.update(
    second.key,
    { ...second.object, status } as IssuedCertificate,
    second.revision,
  );
  await storage.delete(third.key, third.revision);
  assert.ok(marks.isDue);
  assert.equal(await marks.update(NEVER), 0);
  assert.equal((await readRecord(2)).revision, revision);
  assert.equal(marks.isDue, false);
});

test("RecordMarks marks a record that another server changed at the same moment in the next update", async () => {
  const { marks, storage, readMark, revoke } = await setUp({ subject: "CN=alice" });
  await revoke(ALICE);
  const update = storage.update.bind(storage);
  storage.update = () => {
    storage.update = update;
    return Promise.reject(new AppError("conflict", "the record has changed"));
  };
  assert.equal(await marks.update(NEVER), 0);
  assert.ok(marks.isDue);
  assert.equal(await marks.update(NEVER), 1);
  assert.equal(await readMark(1), "user:alice");
  assert.equal(marks.isDue, false);
});

for (const method of ["list", "update"] as const) {
  test(`RecordMarks rejects if the storage cannot ${method}, and tries again in the next update`, async () => {
    const { marks, storage, readMark, revoke } = await setUp({ subject: "CN=alice" });
    await revoke(ALICE);
    const works = storage[method].bind(storage);
    Object.assign(storage, { [method]: () => Promise.reject(new Error("etcd is away")) });
    await assert.rejects(marks.update(NEVER), /etcd is away/);
    assert.ok(marks.isDue);
    Object.assign(storage, { [method]: works });
    assert.equal(await marks.update(NEVER), 1);
    assert.equal(await readMark(1), "user:alice");
  });
}

test("RecordMarks lets other work run after each page, and stops when its signal aborts", async () => {
  const { marks, storage, revoke } = await setUp();
  await revoke(ALICE);
  const abort = new AbortController();
  const seen: string[] = [];
  storage.list = () => {
    const page = seen.push("page");
    setImmediate(() => seen.push("other work"));
    if (page > 2) abort.abort(new Error("the server stops"));
    return Promise.resolve({ items: [], revision: 1, remaining: 1, ...(page > 4 ? {} : { nextKey: `after ${page}` }) });
  };
  await assert.rejects(marks.update(abort.signal), /the server stops/);
  assert.deepEqual(seen, ["page", "other work", "page", "other work"]);
});
