/**
 * Node imports this before the test files. It prints the name of each test as it starts, as Deno does, prints at SIGUSR2
 * what the process waits for, and keeps `node:test` from tracking every promise.
 *
 * `node:test` tracks all asynchronous resources of the process with a hook, to find the test of an uncaught error. A
 * million awaits take 2.8 s with the hook and 0.1 s without. Its own resources suffice to find the test or suite that
 * declares a hook or a subtest, so it is given only those. An uncaught error still fails the run, but without the name
 * of a test.
 */
import { writeSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";
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
  // The write is synchronous, because a test that never yields would keep a stream from flushing its buffer.
  writeSync(1, `${(context as TestContext).fullName} ...\n`);
});

// Otherwise the report would look up the names of all peers, which may take long.
Object.assign(process.report, { excludeNetwork: true });
process.on("SIGUSR2", () => {
  const { libuv } = process.report.getReport() as { libuv: { is_active: boolean; is_referenced?: boolean }[] };
  const handles = libuv.filter((handle) => handle.is_active && handle.is_referenced);
  const waiting = [...process.getActiveResourcesInfo(), ...handles.map((handle) => JSON.stringify(handle))];
  writeSync(1, `it waits for ${waiting.join(", ")}\n`);
});
