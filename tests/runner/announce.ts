/**
 * Imported by Node before the test files. It prints the name of each test when it starts, at once, as Deno does; and it
 * keeps `node:test` from following every promise.
 *
 * `node:test` follows all asynchronous resources of the process with a hook, to name the test of an uncaught error. A
 * million awaits take 2.8 s with it and 0.1 s without. What it needs to know which test or suite declares a hook or a
 * subtest are its own resources, so these alone are handed to it. An uncaught error still fails the run, without a name.
 */
import { writeSync } from "node:fs";
import { createRequire } from "node:module";
import type { TestContext } from "node:test";

const hooks = createRequire(import.meta.url)("node:async_hooks");
const { AsyncResource, executionAsyncId } = hooks;
let onInit: ((id: number, type: string, triggerId: number, resource: unknown) => void) | undefined;
hooks.createHook = ({ init }: { init: typeof onInit }) => {
  onInit = init;
  const hook = { enable: () => hook, disable: () => hook };
  return hook;
};
hooks.AsyncResource = class extends AsyncResource {
  constructor(type: string, options: unknown) {
    super(type, options);
    onInit?.(this.asyncId(), type, executionAsyncId(), this);
  }
};

const { beforeEach } = await import("node:test");
beforeEach((context) => {
  // A test that never yields holds up everything that a stream has buffered.
  writeSync(1, `${(context as TestContext).fullName} ...\n`);
});
