import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { test } from "node:test";
import { STEPS } from "./steps.ts";
import { findFiles, findNeeded, GROUPS, SMOKE, SUITE_NAMES } from "./suites.ts";

const never = () => false;
const paths = Object.values(GROUPS).flat();
const core = findFiles("interop").filter((file) => dirname(file) === "tests/interop");

test("every file of the interoperability suite is listed once, and every listed file exists", async () => {
  const files = findFiles("interop");
  assert.deepEqual(files.filter((file) => !existsSync(file)), []);
  // The tests of their own parts need no Kubernetes.
  const others = findFiles("test").filter((file) => /^tests\/interop\/(?:comparison|differential)\//.test(file));
  const all = (await readdir("tests/interop", { recursive: true })).filter((name) => name.endsWith("_test.ts"));
  assert.deepEqual([...files, ...others].sort(), all.map((name) => `tests/interop/${name}`).sort());
  const folders = new Set(files.map(dirname));
  assert.deepEqual(folders, new Set(["tests/interop", ...Object.keys(GROUPS).map((name) => `tests/interop/${name}`)]));
});

test("every suite has tests, every task that is a suite runs it, and every group of a step exists", async () => {
  const { tasks } = JSON.parse(await readFile("deno.json", "utf8"));
  for (const suite of SUITE_NAMES) {
    assert.ok(findFiles(suite).length > 0, suite);
    assert.match(tasks[suite], new RegExp(` tests/runner/main\\.ts ${suite}$`));
  }
  for (const { group = "storage" } of STEPS) assert.ok(group in GROUPS, group);
});

test("every path of a group and every smoke test exists", () => {
  for (const path of paths) {
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
    const starts = [...BY_CORE, ...paths];
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
  assert.deepEqual(all.interop, findFiles("interop"));
  assert.ok(all.steps.includes("packages"));
  for (const path of ["deno.lock", ".ci/run", "tests/runner/main.ts"]) assert.deepEqual(findNeeded([path], never), all);
});

test("findNeeded() selects the core and the groups of the changed paths", () => {
  assert.deepEqual(findNeeded(["README.md"], never), { interop: core, steps: [] });
  const storage = findNeeded(["server/storage/sqlite/journal.ts"], never);
  assert.ok(storage.interop.includes("tests/interop/storage/disk_fault_test.ts"));
  assert.ok(!storage.interop.includes("tests/interop/page/ui_test.ts"));
  assert.deepEqual(storage.steps, ["torture on etcd", "power loss"]);
});

test("findNeeded() selects a test that imports a changed file of the tests", () => {
  const { interop } = findNeeded(
    ["tests/support/browser.ts"],
    (file, imported) => file === "tests/interop/page/ui_test.ts" && imported === "tests/support/browser.ts",
  );
  assert.deepEqual(new Set(interop), new Set([...core, "tests/interop/page/ui_test.ts"]));
});
