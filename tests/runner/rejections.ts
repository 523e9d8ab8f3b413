/**
 * Deno imports this before the test files. An unhandled rejection outside of the tests, for example while a file is
 * loading, fails the next test. Deno itself fails a test only for rejections during that test.
 */
import { afterEach, beforeEach } from "node:test";

let reasons: unknown[] = [];
globalThis.addEventListener(
  "unhandledrejection",
  (event) => void reasons.push((event as PromiseRejectionEvent).reason),
);
beforeEach(() => {
  if (reasons.length > 0) throw reasons.shift();
});
afterEach(() => {
  reasons = [];
});
