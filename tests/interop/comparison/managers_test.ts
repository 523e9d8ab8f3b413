import assert from "node:assert/strict";
import { test } from "node:test";
import { formatYaml } from "../../../core/lib/yaml/format.ts";
import { sortManagers, sortManagersInYaml } from "./managers.ts";

const entry = (operation: string, manager: string, second: number) => ({
  manager,
  operation,
  apiVersion: "v1",
  time: `2026-01-01T00:00:0${second}Z`,
});

test("sortManagers() gives writes within a second and across two the same order", () => {
  const within = [entry("Apply", "z", 1), entry("Update", "a", 1), entry("Update", "b", 1)];
  const across = [entry("Apply", "z", 1), entry("Update", "b", 1), entry("Update", "a", 2)];
  const managers = (list: unknown) => (list as readonly { readonly manager: string }[]).map(({ manager }) => manager);
  assert.deepEqual(managers(sortManagers(within)), ["z", "a", "b"]);
  assert.deepEqual(managers(sortManagers(across)), ["z", "a", "b"]);
});

test("sortManagers() keeps lists that are not in the server's order", () => {
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

test("sortManagersInYaml() sorts within kubectl's output, and keeps any other text", () => {
  const within = [entry("Update", "a", 1), entry("Update", "b", 1)];
  const across = [entry("Update", "b", 1), entry("Update", "a", 2)];
  const object = (managedFields: unknown) =>
    formatYaml({ apiVersion: "v1", kind: "ConfigMap", metadata: { managedFields, name: "x" } });
  const names = (text: string) => [...text.matchAll(/manager: (.*)/g)].map(([, name]) => name);
  assert.equal(sortManagersInYaml(object(within)), object(within));
  assert.deepEqual(names(sortManagersInYaml(object(across))), ["a", "b"]);
  for (const text of ["", "x", `${object(across)}more: true  # not as kubectl writes it\n`]) {
    assert.equal(sortManagersInYaml(text), text);
  }
});
