import assert from "node:assert/strict";
import { test } from "node:test";
import { createPendingRequests } from "./pending_requests.ts";

test("createPendingRequests() admits up to its limit for each requester, and marks the first that waits", () => {
  const left = createPendingRequests(2);
  for (const name of ["a1", "a2"]) {
    assert.deepEqual(left.admit(name, "a"), { kind: "check" });
    left.add(name, "a");
  }
  assert.deepEqual(left.admit("a3", "a"), { kind: "wait", isFirst: true });
  assert.deepEqual(left.admit("a4", "a"), { kind: "wait", isFirst: false });
  assert.deepEqual(left.admit("a1", "a"), { kind: "check" });
  assert.deepEqual(left.admit("b1", "b"), { kind: "check" });
  assert.deepEqual(left.names(), ["a1", "a2"]);
  assert.deepEqual(left.namesFor("a"), ["a1", "a2"]);
  assert.deepEqual(left.namesFor("b"), []);
});

test("createPendingRequests() admits again as many as there is room for", () => {
  const left = createPendingRequests(2);
  for (const name of ["a1", "a2"]) left.add(name, "a");
  for (const name of ["a3", "a4", "a5"]) left.admit(name, "a");
  assert.deepEqual(left.forget("a4"), []);
  assert.deepEqual(left.forget("a1"), ["a3"]);
  assert.deepEqual(left.forget("a2"), ["a5"]);
  assert.deepEqual(left.forget("unknown"), []);
  // It closes and opens anew.
  for (const name of ["a3", "a5"]) {
    assert.deepEqual(left.admit(name, "a"), { kind: "check" });
    left.add(name, "a");
  }
  assert.deepEqual(left.admit("a6", "a"), { kind: "wait", isFirst: true });
});
