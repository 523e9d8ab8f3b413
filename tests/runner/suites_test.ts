import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { findNeeded, GROUPS, INTEROP_CORE, INTEROP_FULL, SMOKE, toInteropFile } from "./suites.ts";

const never = () => false;

test("every file of the interoperability suite is listed once, and every listed file exists", async () => {
  const names = [...INTEROP_CORE, ...GROUPS.flatMap(({ interop }) => interop), ...INTEROP_FULL];
  const files = (await readdir("tests/interop")).filter((name) => name.endsWith("_test.ts"));
  assert.deepEqual(names.map(toInteropFile).sort(), files.map((name) => `tests/interop/${name}`).sort());
});

test("every path of a group and every smoke test exists", () => {
  for (const path of GROUPS.flatMap(({ paths }) => paths)) {
    assert.ok(existsSync(path) || existsSync(`${path}.ts`), path);
  }
  for (const file of SMOKE) assert.ok(existsSync(file), file);
});

/** Folders that all other code uses, so that the core covers them. */
const BY_CORE = ["core/lib/"];

test("every folder of the product is in a group, or the core covers it", async () => {
  for (const room of ["core", "server", "controllers", "client", "instance", "ui", "cli"]) {
    const entries = await readdir(room, { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => `${room}/${name}/`);
    const starts = [...BY_CORE, ...GROUPS.flatMap(({ paths }) => paths)];
    assert.deepEqual(folders.filter((folder) => !starts.some((start) => folder.startsWith(start))), []);
  }
});

test("findNeeded() selects the step whose own tests have changed", () => {
  for (
    const { path, steps } of [
      { path: "tests/torture/storm.ts", steps: ["torture on etcd", "power loss"] },
      { path: "tests/overload/attacks.ts", steps: ["overload"] },
      { path: "tests/packages/deb_test.ts", steps: ["packages"] },
    ]
  ) assert.deepEqual(findNeeded([path], never).steps, steps);
});

test("findNeeded() selects everything for an unknown change and for a change of the runner", () => {
  const all = findNeeded(undefined, never);
  assert.equal(all.interop.length, INTEROP_CORE.length + GROUPS.flatMap(({ interop }) => interop).length);
  assert.ok(all.steps.includes("packages"));
  for (const path of ["deno.lock", ".ci/run", "tests/runner/main.ts"]) assert.deepEqual(findNeeded([path], never), all);
});

test("findNeeded() selects the core and the groups of the changed paths", () => {
  assert.deepEqual(findNeeded(["README.md"], never), { interop: INTEROP_CORE.map(toInteropFile), steps: [] });
  const storage = findNeeded(["server/storage/sqlite/journal.ts"], never);
  assert.ok(storage.interop.includes("tests/interop/disk_fault_test.ts"));
  assert.ok(!storage.interop.includes("tests/interop/ui_test.ts"));
  assert.deepEqual(storage.steps, ["torture on etcd", "power loss"]);
});

test("findNeeded() selects a test that imports a changed file of the tests", () => {
  const { interop } = findNeeded(
    ["tests/support/browser.ts"],
    (file, imported) => file === "tests/interop/ui_test.ts" && imported === "tests/support/browser.ts",
  );
  assert.deepEqual(interop, [...INTEROP_CORE, "ui"].map(toInteropFile));
});
