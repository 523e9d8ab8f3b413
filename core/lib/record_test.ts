import assert from "node:assert/strict";
import { test } from "node:test";
import { lookup } from "./record.ts";

test("lookup() finds a table's own keys, not those that every object inherits", () => {
  const table = { get: "GET" };
  assert.equal(lookup(table, "get"), "GET");
  for (const word of ["constructor", "__proto__", "toString", "hasOwnProperty", "valueOf", ""]) {
    assert.equal(lookup(table, word), undefined, word);
  }
});
