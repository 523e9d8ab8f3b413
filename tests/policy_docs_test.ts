/** The examples of docs/policies.md are read, and its tests pass. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { run } from "../cli/run.ts";
import { parseInventory } from "../core/policy/inventory.ts";
import { parsePolicy } from "../core/policy/parse.ts";
import { createCapturedIo } from "./support/captured_io.ts";
import { createTempFolder } from "./support/temp.ts";

async function examples(): Promise<Readonly<Record<string, string>>> {
  const text = await readFile("docs/policies.md", "utf8");
  const blocks = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = ""]) => block);
  return Object.fromEntries(blocks.map((block) => [/^kind: (\S+)/m.exec(block)?.[1] ?? "", block]));
}

test("docs/policies.md: inventory and policy are read", async () => {
  const { Inventory = "", ApprovalPolicy = "" } = await examples();
  const inventory = parseInventory(Inventory);
  assert.ok(inventory.ok, JSON.stringify(inventory));
  const policy = parsePolicy(ApprovalPolicy);
  assert.ok(policy.ok, JSON.stringify(policy));
});

test("docs/policies.md: the tests of the policy pass", async () => {
  await using folder = await createTempFolder();
  const { Inventory = "", ApprovalPolicy = "", PolicyTest = "" } = await examples();
  await writeFile(folder.join("inventory.yaml"), Inventory);
  await writeFile(folder.join("web.yaml"), ApprovalPolicy);
  await writeFile(folder.join("web_test.yaml"), PolicyTest);
  const io = createCapturedIo({ cwd: folder.path });
  const code = await run(["approver", "test", "."], io, new AbortController().signal);
  assert.equal(code, 0, `${io.stdoutText()}${io.stderrText()}`);
  assert.match(io.stdoutText(), /\n2 passed, 0 failed\n$/);
});
