import assert from "node:assert/strict";
import { test } from "node:test";
import { runToEnd } from "./run_to_end.ts";

test("runToEnd() gives a program its input, and without one an input that has ended", async () => {
  const input = new TextEncoder().encode("one\ntwo\n");
  assert.deepEqual(await runToEnd("cat", [], { input }), { ok: true, value: "one\ntwo\n" });
  assert.deepEqual(await runToEnd("cat", []), { ok: true, value: "" });
});

test("runToEnd() reports why a program failed, although it read none of its input", async () => {
  const input = new Uint8Array(1 << 20);
  assert.deepEqual(await runToEnd("sh", ["-c", "echo no key >&2; exit 1"], { input }), { ok: false, error: "no key" });
  const missing = await runToEnd("/does/not/exist", [], { input });
  assert.match(missing.ok ? "" : missing.error, /ENOENT/);
});
