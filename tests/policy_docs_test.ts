/** The examples of docs/reference/policies.md are read, and its tests pass. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { run } from "../cli/run.ts";
import { parseInventory } from "../core/approval/evidence/inventory.ts";
import { parsePolicy } from "../core/approval/parse_policy.ts";
import { createCapturedIo } from "./support/captured_io.ts";
import { createTempFolder } from "./support/temp.ts";

/** The examples of a kind, in their order. */
async function examples(kind: string): Promise<readonly string[]> {
  const text = await readFile("docs/reference/policies.md", "utf8");
  const blocks = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = ""]) => block);
  return blocks.filter((block) => /^kind: (\S+)/m.exec(block)?.[1] === kind);
}

test("docs/reference/policies.md: inventory and policies are read", async () => {
  const [inventories, policies] = [await examples("Inventory"), await examples("ApprovalPolicy")];
  assert.deepEqual([inventories.length, policies.length], [1, 4]);
  for (const read of [...inventories.map(parseInventory), ...policies.map(parsePolicy)]) {
    assert.ok(read.ok, JSON.stringify(read));
  }
});

test("docs/reference/policies.md: the tests of the custom policy pass", async () => {
  await using folder = await createTempFolder();
  for (
    const [file, kind] of [
      ["inventory.yaml", "Inventory"],
      ["web.yaml", "ApprovalPolicy"],
      ["web_test.yaml", "PolicyTest"],
    ] as const
  ) {
    const found = (await examples(kind)).find((text) => kind !== "ApprovalPolicy" || /^name: web$/m.test(text));
    await writeFile(folder.join(file), found ?? "");
  }
  const io = createCapturedIo({ cwd: folder.path });
  const code = await run(["policy", "test", "."], io, new AbortController().signal);
  assert.equal(code, 0, `${io.stdoutText()}${io.stderrText()}`);
  assert.match(io.stdoutText(), /\n2 passed, 0 failed\n$/);
});
