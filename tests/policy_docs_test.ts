/** Checks that the examples in docs/reference/policies.md parse and that their tests pass. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { run } from "../cli/run.ts";
import { parseInventory } from "../core/approval/evidence/inventory.ts";
import { parsePolicy } from "../core/approval/parse_policy.ts";
import { createCapturedIo } from "./support/captured_io.ts";
import { createTempFolder } from "./support/temp.ts";

/** Reads the examples of a kind, in page order. */
async function readExamples(kind: string): Promise<readonly string[]> {
  const text = await readFile("docs/reference/policies.md", "utf8");
  const blocks = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = ""]) => block);
  return blocks.filter((block) => /^kind: (\S+)/m.exec(block)?.[1] === kind);
}

test("docs/reference/policies.md: the inventory and the policies parse", async () => {
  const [inventories, policies] = [await readExamples("Inventory"), await readExamples("ApprovalPolicy")];
  assert.deepEqual([inventories.length, policies.length], [1, 4]);
  for (const read of [...inventories.map(parseInventory), ...policies.map(parsePolicy)]) {
    assert.ok(read.ok, JSON.stringify(read));
  }
});

test("docs/reference/policies.md: the custom policy's tests pass", async () => {
  await using folder = await createTempFolder();
  for (
    const [file, kind] of [
      ["inventory.yaml", "Inventory"],
      ["web.yaml", "ApprovalPolicy"],
      ["web_test.yaml", "PolicyTest"],
    ] as const
  ) {
    const found = (await readExamples(kind)).find((text) => kind !== "ApprovalPolicy" || /^name: web$/m.test(text));
    await writeFile(folder.join(file), found ?? "");
  }
  const io = createCapturedIo({ cwd: folder.path });
  const code = await run(["policy", "test", "."], io, new AbortController().signal);
  assert.equal(code, 0, `${io.stdoutText()}${io.stderrText()}`);
  assert.match(io.stdoutText(), /\n2 passed, 0 failed\n$/);
});
