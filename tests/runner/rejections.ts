/**
 * Imported by Deno before the test files. A promise that is rejected outside of the tests, as while they are loaded, and that
 * nothing handles fails the next test: Deno itself ignores it, and fails a test only for its own.
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
