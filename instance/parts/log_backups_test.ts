import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBackupName, planLogBackups } from "./log_backups.ts";

const now = new Date("2026-11-25T10:00:00Z");
const day = (back: number) => new Date(now.getTime() - back * 86_400_000);
const NO_LIMIT = { maxAgeDays: 0, maxBackups: 0, compress: false };

test("formatBackupName() puts the time between name and extension, as lumberjack does", () => {
  assert.equal(formatBackupName("/var/log/audit.log", now), "audit-2026-11-25T10-00-00.000.log");
  assert.equal(formatBackupName("audit", now), "audit-2026-11-25T10-00-00.000");
});

test("planLogBackups() keeps the newest, counting a file and its compressed form once", () => {
  const names = [1, 2, 3, 4].map((back) => formatBackupName("audit.log", day(back)));
  const files = ["audit.log", names[0]!, `${names[0]}.gz`, `${names[1]}.gz`, names[2]!, names[3]!];
  const plan = planLogBackups("audit.log", files, { ...NO_LIMIT, maxBackups: 2 }, now);
  assert.deepEqual(plan.remove, [names[2], names[3]]);
});

test("planLogBackups() removes backups that are older than the limit", () => {
  const names = [1, 2, 3].map((back) => formatBackupName("audit.log", day(back)));
  assert.deepEqual(planLogBackups("audit.log", names, { ...NO_LIMIT, maxAgeDays: 2 }, now).remove, [names[2]]);
});

test("planLogBackups() compresses the remaining backups", () => {
  const names = [1, 2, 3].map((back) => formatBackupName("audit.log", day(back)));
  const files = [names[0]!, `${names[1]}.gz`, names[2]!];
  const plan = planLogBackups("audit.log", files, { maxAgeDays: 2, maxBackups: 0, compress: true }, now);
  assert.deepEqual(plan, { remove: [names[2]], compress: [names[0]] });
});

test("planLogBackups() ignores other files", () => {
  const other = formatBackupName("other.log", day(9));
  const files = ["audit.log", "audit-old.log", "audit-2026-11-25.log", other, "audit-2026-13-45T10-00-00.000.log"];
  const plan = planLogBackups("audit.log", files, { maxAgeDays: 1, maxBackups: 1, compress: true }, now);
  assert.deepEqual(plan, { remove: [], compress: [] });
});
