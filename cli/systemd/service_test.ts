import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { eventually } from "../../tests/support/eventually.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import { connectService, findPassedSocket, findWatchdogMs } from "./service.ts";

for (
  const { name, env, want } of [
    { name: "the interval for this process", env: { WATCHDOG_USEC: "60000000", WATCHDOG_PID: "7" }, want: 60_000 },
    { name: "the interval for any process of the unit", env: { WATCHDOG_USEC: "1500000" }, want: 1_500 },
    { name: "nothing for another process", env: { WATCHDOG_USEC: "60000000", WATCHDOG_PID: "8" }, want: undefined },
    { name: "nothing without a watchdog", env: {}, want: undefined },
    { name: "nothing in another format", env: { WATCHDOG_USEC: "1min" }, want: undefined },
  ]
) {
  test(`findWatchdogMs() finds ${name}`, () => assert.equal(findWatchdogMs(env, 7), want));
}

test("connectService() reports the whole state each time, ends with the latest one, and logs a failure once", async () => {
  await using folder = await createTempFolder();
  const reports = folder.join("reports");
  const program = `#!/bin/sh\nprintf '%s|' "$@" >> '${reports}'\nprintf '\\n' >> '${reports}'\nexit 1\n`;
  await writeFile(folder.join("systemd-notify"), program, { mode: 0o755 });
  const last = (text: string) =>
    eventually(text, async () => (await readFile(reports, "utf8").catch(() => "")).endsWith(`${text}\n`) || undefined);
  const logger = createMemoryLogger();
  const stop = new AbortController();
  const env = { NOTIFY_SOCKET: "/run/systemd/notify", PATH: folder.path };
  using service = connectService({ env }, { logger, signal: stop.signal });
  service.describe("opening");
  service.ready("serving");
  service.describe("serving\nREADY=0");
  await last("READY=1|STATUS=serving^JREADY=0|WATCHDOG=1|");
  stop.abort();
  await last("STOPPING=1|STATUS=stopping|WATCHDOG=1|");
  await eventually("a failure in the log", () => Promise.resolve(logger.entries.length > 0 || undefined));
  assert.deepEqual(logger.messages(), ["cannot report to systemd"]);
});

for (
  const { name, env, want } of [
    { name: "the passed socket", env: { LISTEN_PID: "7", LISTEN_FDS: "1" }, want: 3 },
    { name: "no socket without systemd", env: {}, want: undefined },
    { name: "no socket of the parent process", env: { LISTEN_PID: "6", LISTEN_FDS: "1" }, want: undefined },
    { name: "no socket if none was passed", env: { LISTEN_PID: "7", LISTEN_FDS: "0" }, want: undefined },
  ]
) {
  test(`findPassedSocket() finds ${name}`, () => assert.equal(findPassedSocket({ env }, 7), want));
}

test("findPassedSocket() refuses two sockets", () => {
  assert.throws(() => findPassedSocket({ env: { LISTEN_PID: "7", LISTEN_FDS: "2" } }, 7), /passed 2 sockets/);
});
