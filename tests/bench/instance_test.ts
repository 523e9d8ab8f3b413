import assert from "node:assert/strict";
import { test } from "node:test";
import { startTogether } from "./instance.ts";

test("startTogether() adds started instances to its stack, even if another one fails", async () => {
  const ended: string[] = [];
  const createStart = (names: string[]) => () => {
    const name = names.shift();
    if (name === "bad") return Promise.reject(new Error("did not start"));
    return Promise.resolve({ name, [Symbol.asyncDispose]: () => Promise.resolve(void ended.push(`${name}`)) });
  };
  {
    await using stack = new AsyncDisposableStack();
    assert.deepEqual((await startTogether(stack, 2, createStart(["a", "b"]))).map(({ name }) => name), ["a", "b"]);
    await assert.rejects(startTogether(stack, 3, createStart(["c", "bad", "d"])), /did not start/);
    assert.deepEqual(ended, []);
  }
  assert.deepEqual(ended, ["d", "c", "b", "a"]);
});
