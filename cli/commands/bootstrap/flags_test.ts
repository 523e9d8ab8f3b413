import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSignalHook } from "./flags.ts";

for (
  const { text, want } of [
    { text: "HUP:/run/a.pid", want: { signal: "SIGHUP", pidFile: "/run/a.pid" } },
    { text: "SIGUSR1:a.pid", want: { signal: "SIGUSR1", pidFile: "a.pid" } },
    { text: "term:/run/a:b.pid", want: { signal: "SIGTERM", pidFile: "/run/a:b.pid" } },
    { text: "KILL:/run/a.pid", want: undefined },
    { text: "1:/run/a.pid", want: undefined },
    { text: "HUP:", want: undefined },
    { text: "HUP", want: undefined },
    { text: "", want: undefined },
  ]
) {
  test(`parseSignalHook() ${want === undefined ? "refuses" : "reads"} "${text}"`, () => {
    const hook = parseSignalHook(text);
    assert.deepEqual(hook.ok ? hook.value : undefined, want);
  });
}
