import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../../../core/errors.ts";
import { createCapturedIo } from "../../../tests/support/captured_io.ts";
import { createSystemClock } from "../../system.ts";
import { retryUntil } from "./server_ca.ts";

const quiet = new AbortController().signal;

test("retryUntil() outlasts a server that is down for a while, and otherwise says to run the command again", async () => {
  const io = createCapturedIo({ clock: createSystemClock() });
  let failures = 0;
  const failAtMost = (maxFailures: number) => (): Promise<string> =>
    failures++ < maxFailures
      ? Promise.reject(new AppError("unreachable", "cannot reach the server"))
      : Promise.resolve("done");
  const describe = () => "not yet";
  assert.equal(await retryUntil({ io, timeoutMs: 0 }, failAtMost(1), describe, quiet), "done");
  assert.equal(failures, 2);
  await assert.rejects(retryUntil({ io, timeoutMs: 1 }, failAtMost(Infinity), describe, quiet), {
    code: "timeout",
    message: /cannot reach the server$/,
    hint: /^run the same command again/,
  });
  await assert.rejects(retryUntil({ io, timeoutMs: 1 }, () => Promise.resolve(undefined), describe, quiet), {
    message: /not yet$/,
  });
});
