/** Checks docs/engineering/guarantees.md against the tests and the planted bugs that it names. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join, normalize } from "node:path";
import { test } from "node:test";
import { STEPS } from "./runner/steps.ts";
import { PLANTS, toCommand } from "./torture/plants.ts";

const FOLDER = join("docs", "engineering");
const page = readFileSync(join(FOLDER, "guarantees.md"), "utf8");
/** A promise is an item whose first sentence is bold. */
const promises = page.split(/^(?=- \*\*|#|$)/m).filter((paragraph) => paragraph.startsWith("- **"))
  .map((paragraph) => paragraph.trimEnd());
const names = PLANTS.map(({ name }) => name);

function findPlanted(text: string): readonly string[] {
  return [...text.matchAll(/`([a-z0-9]+(?:-[a-z0-9]+)+)`/g)].map((match) => match[1]!);
}

test("each promise is one sentence with a test and a planted bug", () => {
  assert.ok(promises.length >= 10);
  for (const promise of promises) {
    assert.match(promise, /^- \*\*[^*.]+\.\*\*\s+Shown by\s[^*]+\.$/, promise);
    const tests = [...promise.matchAll(/\]\(([^)]+)\)/g)].map((match) => normalize(join(FOLDER, match[1]!)));
    assert.ok(
      tests.length > 0 && tests.every((path) => path.startsWith("tests/") || path.endsWith("_test.ts")),
      promise,
    );
    assert.deepEqual(tests.filter((path) => !existsSync(path)), [], promise);
    const planted = findPlanted(promise);
    assert.ok(planted.length > 0, promise);
    assert.deepEqual(planted.filter((name) => !names.includes(name)), [], promise);
  }
});

test("each planted bug breaks a promise, and its row says what finds it", () => {
  const broken = new Set(promises.flatMap(findPlanted));
  assert.deepEqual(names.filter((name) => !broken.has(name)), []);
  const rows = [...page.matchAll(/^\| `?([a-z0-9-]+)`? +\|(.*)\|$/gm)].map((match) => [
    match[1]!,
    ...match[2]!.split("|").map((cell) => cell.trim()),
  ]);
  const found = rows.filter(([name]) => names.includes(name!)).map((row) => row.slice(0, 3));
  assert.deepEqual(found, PLANTS.map(({ name, harm, finder }) => [name, harm, `\`${toCommand(finder)}\``]));
});

test("CI plants two bugs for each change, and all before a release", () => {
  const { run, full } = STEPS.find(({ name }) => name === "planted bugs") ?? {};
  assert.deepEqual([run, full], ["torture --plant write-behind,precondition-ignored", "torture --plant all"]);
  assert.deepEqual(["write-behind", "precondition-ignored"].filter((name) => !names.includes(name)), []);
});
