import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { test } from "node:test";
import { NODE_FLAGS, runProgram } from "../support/child.ts";
import { createTempFolder } from "../support/temp.ts";
import { splitByTurn } from "./turns.ts";

for (
  const { name, all, share, want } of [
    { name: "all in each turn, without a share", all: ["a", "b", "c"], share: 1, want: ["a b c", "a b c", "a b c"] },
    { name: "a third in each turn", all: ["a", "b", "c", "d", "e"], share: 3, want: ["a d", "b e", "c"] },
    { name: "at least one in each turn", all: ["a", "b"], share: 3, want: ["a", "b", "a"] },
    { name: "the only one in each turn", all: ["a"], share: 3, want: ["a", "a", "a"] },
    { name: "nothing of nothing", all: [], share: 3, want: ["", "", ""] },
  ]
) {
  test(`splitByTurn() picks ${name}`, () => {
    const turns = want.map((_, turn) => splitByTurn(all, share, turn));
    assert.deepEqual(turns.map(([now]) => now.join(" ")), want);
    for (const [now, later] of turns) assert.deepEqual([...now, ...later].sort(), all);
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
  const env = { TEST_SHARE: "3", TEST_TURN: "4", TEST_LEFT_OUT: file };
  const { code, stdout, stderr } = await runProgram(process.execPath, [...flags, folder.join("script.mjs")], { env });
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "1\nd\n");
  assert.equal(
    await readFile(file, "utf8"),
    ["b", "c", "e"].map((name) => `left to another turn: ${name}\n`).join(""),
  );
});
