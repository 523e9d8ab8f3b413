import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { openAuditLog } from "./audit_log.ts";
import type { InstanceDeps } from "../deps.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";

const MINUTE = 60_000;

test("openAuditLog() logs lost events once a minute, even when the clock changes", async () => {
  const clock = createFakeClock();
  const logger = createMemoryLogger();
  const deps = { clock, logger, cwd: "/" } as unknown as InstanceDeps;
  await using log = await openAuditLog({ ...DEFAULT_SETTINGS, auditLogPath: "/dev/full" }, deps);
  const lost = () => logger.entries.map(({ fields }) => fields["lost"]);
  const write = (times: number) => {
    for (let time = 0; time < times; time += 1) assert.equal(log.audit?.sink.write("line"), false);
  };
  write(3);
  assert.deepEqual(lost(), [1]);
  clock.set(-365 * 24 * 60 * MINUTE);
  clock.jump(MINUTE);
  write(1);
  assert.deepEqual(lost(), [1, 3]);
  clock.set(2 * MINUTE);
  write(1);
  assert.deepEqual(lost(), [1, 3]);
});
