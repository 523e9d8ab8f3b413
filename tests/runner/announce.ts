/** Imported by Node before the test files: prints the name of each test when it starts, at once, as Deno does. */
import { writeSync } from "node:fs";
import { beforeEach, type TestContext } from "node:test";

beforeEach((context) => {
  // A test that never yields holds up everything that a stream has buffered.
  writeSync(1, `${(context as TestContext).fullName} ...\n`);
});
