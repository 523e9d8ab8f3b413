import assert from "node:assert/strict";
import { test } from "node:test";
import { sortManagers } from "./managers.ts";

const entry = (operation: string, manager: string, second: number) => ({
  manager,
  operation,
  apiVersion: "v1",
  time: `2026-01-01T00:00:0${second}Z`,
});

test("sortManagers() makes one order of those on both sides of a second", () => {
  const within = [entry("Apply", "z", 1), entry("Update", "a", 1), entry("Update", "b", 1)];
  const across = [entry("Apply", "z", 1), entry("Update", "b", 1), entry("Update", "a", 2)];
  const managers = (list: unknown) => (list as readonly { readonly manager: string }[]).map(({ manager }) => manager);
  assert.deepEqual(managers(sortManagers(within)), ["z", "a", "b"]);
  assert.deepEqual(managers(sortManagers(across)), ["z", "a", "b"]);
});

test("sortManagers() leaves what is in no order", () => {
  for (
    const list of [
      [entry("Update", "b", 1), entry("Update", "a", 1)],
      [entry("Update", "a", 2), entry("Update", "b", 1)],
      [entry("Update", "a", 1), entry("Apply", "b", 1)],
      ["text"],
      undefined,
    ]
  ) assert.equal(sortManagers(list), list);
});
