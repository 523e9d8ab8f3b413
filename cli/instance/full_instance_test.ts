import assert from "node:assert/strict";
import { test } from "node:test";
import { runBeside } from "./full_instance.ts";

/** Work that ends when it is aborted, and can be made to fail then. */
async function workUntilAborted(signal: AbortSignal, fault?: Error): Promise<void> {
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  if (fault !== undefined) throw fault;
}

function fail(error: unknown): never {
  throw error;
}

test("runBeside() ends its work and waits for the end when it is disposed", async () => {
  let isEnded = false;
  const work = async (signal: AbortSignal) => {
    await workUntilAborted(signal);
    isEnded = true;
  };
  await runBeside(work, { until: new AbortController().signal, onFailure: fail })[Symbol.asyncDispose]?.();
  assert.equal(isEnded, true);
});

test("runBeside() passes a failure on once, and disposing it does not repeat the failure", async () => {
  const fault = new Error("no more");
  const failures: unknown[] = [];
  const until = new AbortController().signal;
  const part = runBeside(() => Promise.reject(fault), { until, onFailure: (error) => failures.push(error) });
  await Promise.resolve();
  await part[Symbol.asyncDispose]?.();
  assert.deepEqual(failures, [fault]);
});

test("runBeside() rejects with a failure of the end when it is disposed", async () => {
  const part = runBeside((signal) => workUntilAborted(signal, new Error("cannot end")), {
    until: new AbortController().signal,
    onFailure: fail,
  });
  await assert.rejects(async () => await part[Symbol.asyncDispose]?.(), /cannot end/);
});

test("runBeside() ends its work when the outer signal aborts", async () => {
  const outer = new AbortController();
  const part = runBeside(workUntilAborted, { until: outer.signal, onFailure: fail });
  outer.abort();
  await part[Symbol.asyncDispose]?.();
});
