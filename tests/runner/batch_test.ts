import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { relative } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { createTempFolder } from "../support/temp.ts";
import { type BatchResult, deno, node, runBatches, type Runtime } from "./batch.ts";

/** The runtime of this test. */
function currentRuntime(): Runtime {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env as Record<string, string>;
  return "Deno" in globalThis ? deno() : { ...node(process.execPath), env: { ...env, NODE_TEST_CONTEXT: "" } };
}

async function run(tests: string, silentMs: number): Promise<BatchResult> {
  await using folder = await createTempFolder();
  const file = folder.join("some_test.ts");
  await writeFile(file, `import { after, before, describe, test } from "node:test";\n${tests}`);
  const batch = { runtime: currentRuntime(), files: [relative(process.cwd(), file)] };
  const [result] = await runBatches([batch], { folder: folder.path, lanes: 1, silentMs, onEnd: () => {} });
  assert.ok(result !== undefined);
  return result;
}

test("runBatches() counts the tests of a batch and its processor time", async () => {
  const { outcome, cpuSeconds, seconds } = await run(`test("one", () => {}); test("two", () => {});`, 120_000);
  assert.deepEqual(outcome, { passed: 2, failures: [], skipped: [] });
  assert.ok(cpuSeconds > 0 && seconds > 0);
});

test("runBatches() fails a batch with an unhandled rejection that belongs to no test", async () => {
  const { outcome } = await run(
    `
const failed = Promise.withResolvers();
async function failLater() {
  await new Promise((resolve) => setImmediate(resolve));
  // The runtime reports the rejection before the next turn of the event loop.
  setImmediate(failed.resolve);
  throw new Error("nothing awaits this");
}
failLater();
test("one", () => failed.promise);
`,
    120_000,
  );
  assert.notEqual(outcome.failures.length, 0);
});

test("runBatches() reports only the failing test in a describe with hooks", async () => {
  const { outcome } = await run(
    `
let isReady = false;
describe("outer", () => {
  before(async () => {
    await new Promise((resolve) => setImmediate(resolve));
    isReady = true;
  });
  after(() => {
    isReady = false;
  });
  test("passes", () => {
    if (!isReady) throw new Error("its hook has not run");
  });
  test("fails", async () => {
    await new Promise((resolve) => setImmediate(resolve));
    throw new Error(isReady ? "after its hook" : "before its hook");
  });
});
test("has no hook", () => {
  if (isReady) throw new Error("the hook of a describe has run");
});
`,
    120_000,
  );
  assert.equal(outcome.passed, 2);
  assert.equal(outcome.failures.length, 1);
  assert.match(outcome.failures[0]?.name ?? "", /outer.*fails$/);
  assert.match(outcome.failures[0]?.text ?? "", /after its hook/);
});

test("runBatches() kills a batch whose test never yields, together with its programs, and reports the test", async () => {
  await using folder = await createTempFolder();
  const pidFile = folder.join("pid");
  const { outcome } = await run(
    `
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
test("starts a program", () => {
  const child = spawn("sleep", ["1000"], { stdio: "inherit" });
  writeFileSync(${JSON.stringify(pidFile)}, String(child.pid));
});
describe("suite", () => {
  test("hangs", () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
});
`,
    10_000,
  );
  assert.equal(outcome.failures.length, 1);
  assert.match(outcome.failures[0]?.name ?? "", /hangs$/);
  assert.match(outcome.failures[0]?.text ?? "", /more than 10 s/);
  const pid = Number(await readFile(pidFile, "utf8"));
  await eventually("the program has ended", () => Promise.resolve(isRunning(pid) ? undefined : true));
});

test("runBatches() kills a hanging batch although one of its programs prints lines", async () => {
  const { outcome } = await run(
    `
import { spawn } from "node:child_process";
test("hangs", () => new Promise(() => {
  spawn("sh", ["-c", "while sleep 0.2; do echo chatter; done"], { stdio: "inherit" });
}));
`,
    2_000,
  );
  assert.match(outcome.failures[0]?.name ?? "", /hangs$/);
  assert.match(outcome.failures[0]?.text ?? "", /more than 2 s/);
});

test("runBatches() reports what a hanging batch waits for", async () => {
  const { outcome } = await run(
    `
import { createServer } from "node:net";
test("waits", () => new Promise(() => createServer().listen(0, "127.0.0.1")));
`,
    1_000,
  );
  assert.match(outcome.failures[0]?.name ?? "", /^waits$/);
  // Deno does not import `announce.ts`.
  const waiting = "Deno" in globalThis ? /it did not say/ : /it waits for .*"type":"tcp".*"ip4":"127\.0\.0\.1"/;
  assert.match(outcome.failures[0]?.text ?? "", waiting);
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
