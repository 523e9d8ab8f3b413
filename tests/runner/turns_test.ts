import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { test } from "node:test";
import { NODE_FLAGS, runProgram } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";
import { splitByTurn } from "./turns.ts";

for (
  const { name, all, share, want } of [
    { name: "all each day, without a share", all: ["a", "b", "c"], share: 1, want: ["a b c", "a b c", "a b c"] },
    { name: "a third each day", all: ["a", "b", "c", "d", "e"], share: 3, want: ["a d", "b e", "c"] },
    { name: "at least one each day", all: ["a", "b"], share: 3, want: ["a", "b", "a"] },
    { name: "the only one each day", all: ["a"], share: 3, want: ["a", "a", "a"] },
    { name: "nothing of nothing", all: [], share: 3, want: ["", "", ""] },
  ]
) {
  test(`splitByTurn() picks ${name}`, () => {
    const days = want.map((_, day) => splitByTurn(all, share, day));
    assert.deepEqual(days.map(([now]) => now.join(" ")), want);
    for (const [now, later] of days) assert.deepEqual([...now, ...later].sort(), all);
  });
}

test("takeTurns() and inTurn() report what they leave out to the runner", async () => {
  await using folder = await createTempFolder();
  const file = folder.join("left");
  const script = `import { inTurn, takeTurns } from ${JSON.stringify(new URL("./turns.ts", import.meta.url).href)};
    console.log(takeTurns(["a", "b"], (one) => one).length);
    const test = inTurn((name) => console.log(name));
    for (const name of ["c", "d", "e"]) test(name, async () => {});`;
  await writeFile(folder.join("script.mjs"), script);
  const flags = process.versions["deno"] === undefined ? NODE_FLAGS : ["run", "-A", "--no-check"];
  const env = { TEST_SHARE: "3", TEST_LEFT_OUT: file };
  const { code, stdout, stderr } = await runProgram(process.execPath, [...flags, folder.join("script.mjs")], { env });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^1\n[cde]\n$/);
  assert.match(await readFile(file, "utf8"), /^left to another day: [ab]\n(left to another day: [cde]\n){2}$/);
});
