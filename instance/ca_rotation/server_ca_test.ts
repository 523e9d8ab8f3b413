import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../core/errors.ts";
import { createSystemClock } from "../../cli/system.ts";
import { retryUntil } from "./server_ca.ts";

test("retryUntil() retries while a server is down, and gives up with a hint to run the command again", async () => {
  const tools = { clock: createSystemClock(), signal: new AbortController().signal };
  let failures = 0;
  const failAtMost = (maxFailures: number) => (): Promise<string> =>
    failures++ < maxFailures
      ? Promise.reject(new AppError("unreachable", "cannot reach the server"))
      : Promise.resolve("done");
  const describe = () => "not yet";
  assert.equal(await retryUntil(failAtMost(1), { timeoutMs: 0, describe }, tools), "done");
  assert.equal(failures, 2);
  await assert.rejects(retryUntil(failAtMost(Infinity), { timeoutMs: 1, describe }, tools), {
    code: "timeout",
    message: /cannot reach the server$/,
    hint: /^run the same command again/,
  });
  await assert.rejects(retryUntil(() => Promise.resolve(undefined), { timeoutMs: 1, describe }, tools), {
    message: /not yet$/,
  });
});
