import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { transformSync } from "esbuild";
import { applyPatches, findPlants, PLANTS } from "./plants.ts";

test("each of PLANTS has a unique name, a harm and a patch", () => {
  assert.equal(new Set(PLANTS.map(({ name }) => name)).size, PLANTS.length);
  for (const { name, harm, patches } of PLANTS) {
    assert.ok(/^[a-z0-9-]+$/.test(name) && harm !== "" && patches.length > 0);
  }
});

for (const { name, patches } of PLANTS) {
  test(`the patches of ${name} apply to the sources and produce valid syntax`, () => {
    for (const file of new Set(patches.map((patch) => patch.file))) {
      const source = readFileSync(join(process.cwd(), file), "utf8");
      const patched = applyPatches(file, source, patches);
      assert.notEqual(patched, source);
      assert.doesNotThrow(() => transformSync(patched, { loader: "ts", logLevel: "silent" }), file);
    }
  });
}

for (const { name, finder, fault } of PLANTS.filter(({ finder }) => finder.task === "test")) {
  test(`the test that finds ${name} exists`, () => {
    assert.match(readFileSync(join(process.cwd(), "tests", `${finder.flags[0]}_test.ts`), "utf8"), fault);
  });
}

test("applyPatches() refuses a text that is missing or occurs twice", () => {
  const patch = { file: "a.ts", before: "one", after: "two" };
  assert.equal(applyPatches("a.ts", "one $& three", [patch]), "two $& three");
  assert.equal(applyPatches("b.ts", "one", [patch]), "one");
  assert.throws(() => applyPatches("a.ts", "three", [patch]), /has 0 times, not once/);
  assert.throws(() => applyPatches("a.ts", "one one", [patch]), /has 2 times, not once/);
});

test("findPlants() finds one plant, several and all, and refuses an unknown name", () => {
  const [first, second] = PLANTS;
  assert.deepEqual(findPlants(first!.name), [first]);
  assert.deepEqual(findPlants(`${first!.name},${second!.name}`), [first, second]);
  assert.equal(findPlants("all"), PLANTS);
  assert.throws(() => findPlants("weed"), /no bug is called "weed"/);
});
