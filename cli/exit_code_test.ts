import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../core/errors.ts";
import { timeout } from "../core/kube/status/status.ts";
import { toExitCode, UsageError } from "./exit_code.ts";

const quiet = new AbortController().signal;
const reason = new AppError("aborted", "interrupted");

for (
  const { name, error, signal, want } of [
    { name: "wrong usage", error: new UsageError("x"), signal: quiet, want: 2 },
    { name: "a bad configuration", error: new AppError("config_invalid", "x"), signal: quiet, want: 2 },
    { name: "a denial", error: new AppError("csr_denied", "x"), signal: quiet, want: 3 },
    { name: "a failed request", error: new AppError("csr_failed", "x"), signal: quiet, want: 3 },
    { name: "a request that was not decided in time", error: new AppError("timeout", "x"), signal: quiet, want: 3 },
    { name: "a server that took too long", error: timeout("x", 1), signal: quiet, want: 1 },
    { name: "a missing object", error: new AppError("not_found", "x"), signal: quiet, want: 1 },
    { name: "a bug", error: new TypeError("x"), signal: quiet, want: 1 },
    { name: "an interruption", error: reason, signal: AbortSignal.abort(reason), want: 130 },
    { name: "a failure during an interruption", error: new Error("x"), signal: AbortSignal.abort(reason), want: 1 },
  ]
) {
  test(`toExitCode() ends with ${want} after ${name}`, () => assert.equal(toExitCode(error, signal), want));
}
