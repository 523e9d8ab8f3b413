import assert from "node:assert/strict";
import { test } from "node:test";
import type { LoggedEvent } from "../memory/engine.ts";
import { observeJournal } from "./journal.ts";

test("observeJournal() times each commit with its changes, and counts those that fail", async () => {
  const observed: string[] = [];
  let now = 0;
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
