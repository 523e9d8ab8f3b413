import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { formatBackupName, type LogFileOptions, openAuditLog, openLogFile, planLogBackups } from "./audit_log.ts";
import type { InstanceDeps } from "../deps.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import { mkdir, readdir, readFile, rename, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { createTempFolder } from "../../tests/support/temp.ts";

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

function open(path: string, options: Partial<LogFileOptions> = {}, logger = createMemoryLogger()) {
  const deps = { clock: createFakeClock(), logger };
  return openLogFile({ path, maxBytes: 20, maxAgeDays: 0, maxBackups: 0, compress: false, ...options }, deps);
}

test("openLogFile() appends to an existing file, in a private folder and file", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("new/audit.log");
  for (const line of ["one", "two"]) {
    await using file = open(path);
    file.append(line);
  }
  assert.equal(await readFile(path, "utf8"), "one\ntwo\n");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal((await stat(folder.join("new"))).mode & 0o777, 0o700);
});

for (
  const { left, kept } of [
    { left: "one\ntwo\nhal", kept: "one\ntwo\n" },
    { left: `one\n${"x".repeat(200_000)}`, kept: "one\n" },
    { left: "a foreign file", kept: "a foreign file" },
  ]
) {
  test(`openLogFile() appends only after whole lines: ${left.slice(0, 30)}`, async () => {
    await using folder = await createTempFolder();
    const path = folder.join("audit.log");
    await writeFile(path, left);
    await using file = open(path, { maxBytes: 1_000 });
    file.append("new");
    assert.equal(await readFile(path, "utf8"), `${kept}new\n`);
  });
}

test("openLogFile() rotates a full file before the line that does not fit, and loses none", async () => {
  await using folder = await createTempFolder();
  const lines = Array.from({ length: 9 }, (_, index) => `line-${index}`);
  {
    await using file = open(folder.join("audit.log"));
    for (const line of lines) file.append(line);
  }
  const names = (await readdir(folder.path)).sort((
    a,
    b,
  ) => (a === "audit.log" ? 1 : b === "audit.log" ? -1 : a < b ? -1 : 1));
  assert.equal(names.length, 5);
  const texts = await Promise.all(names.map((name) => readFile(folder.join(name), "utf8")));
  assert.equal(texts.join(""), `${lines.join("\n")}\n`);
});

test("openLogFile() compresses its backups, and those of an earlier run", async () => {
  await using folder = await createTempFolder();
  await writeFile(folder.join("audit-2020-01-01T00-00-00.000.log"), "old\n");
  await writeFile(folder.join("audit-2020-01-01T00-00-00.000.log.gz.tmp"), "half");
  // The backup of this incomplete file has been removed.
  await writeFile(folder.join("audit-2019-01-01T00-00-00.000.log.gz.tmp"), "half");
  {
    await using file = open(folder.join("audit.log"), { compress: true });
    for (const line of ["a".repeat(18), "b".repeat(18)]) file.append(line);
  }
  const packed = (await readdir(folder.path)).filter((name) => name !== "audit.log");
  const texts = await Promise.all(packed.map(async (name) => gunzipSync(await readFile(folder.join(name))).toString()));
  assert.deepEqual(texts.sort(), [`${"a".repeat(18)}\n`, "old\n"]);
});

test("openLogFile() writes a line longer than the limit to a separate file", async () => {
  await using folder = await createTempFolder();
  await using file = open(folder.join("audit.log"));
  file.append("x".repeat(100));
  file.append("y");
  assert.equal(await readFile(folder.join("audit.log"), "utf8"), "y\n");
});

test("openLogFile() throws the system's error", async () => {
  await using folder = await createTempFolder();
  await mkdir(folder.join("audit.log"));
  assert.throws(() => open(folder.join("audit.log")), /EISDIR/);
});

test("openLogFile() keeps writing to a full file that cannot be renamed, logs the failure once, and rotates later", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("audit.log");
  const logger = createMemoryLogger();
  await using file = open(path, {}, logger);
  // A folder with the name of the new file prevents opening it.
  await mkdir(`${path}.tmp`);
  const lines = ["a", "b", "c"].map((letter) => letter.repeat(15));
  for (const line of lines) file.append(line);
  assert.equal(await readFile(path, "utf8"), `${lines.join("\n")}\n`);
  assert.deepEqual(logger.messages("warn"), ["a full log file cannot be rotated and keeps growing"]);
  await rmdir(`${path}.tmp`);
  file.append("d");
  assert.equal(await readFile(path, "utf8"), "d\n");
  assert.equal((await readdir(folder.path)).length, 2);
});

test("openLogFile() loses nothing when no name for a backup is possible", async () => {
  await using folder = await createTempFolder();
  // The name has the maximum length, so no name with a date is possible.
  const path = folder.join(`${"x".repeat(245)}.log`);
  await using file = open(path);
  for (const letter of ["a", "b"]) file.append(letter.repeat(15));
  assert.equal(await readFile(path, "utf8"), `${"a".repeat(15)}\n${"b".repeat(15)}\n`);
});

test("openLogFile() creates a new file when the full one was removed", async () => {
  await using folder = await createTempFolder();
  const path = folder.join("audit.log");
  await using file = open(path);
  for (const takeAway of [() => rm(path), () => rename(path, folder.join("elsewhere"))]) {
    file.append("a".repeat(19));
    await takeAway();
    file.append("b");
    assert.equal(await readFile(path, "utf8"), "b\n");
  }
});

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

test("planLogBackups() removes incomplete compressed files, also of backups that it keeps", () => {
  const [first, second] = [1, 2].map((back) => formatBackupName("audit.log", day(back)));
  const files = [first!, `${first}.gz.tmp`, `${second}.gz.tmp`];
  const plan = planLogBackups("audit.log", files, { ...NO_LIMIT, maxBackups: 1 }, now);
  assert.deepEqual(plan, { remove: [`${first}.gz.tmp`, `${second}.gz.tmp`], compress: [] });
});

test("planLogBackups() ignores other files", () => {
  const other = formatBackupName("other.log", day(9));
  const files = ["audit.log", "audit-old.log", "audit-2026-11-25.log", other, "audit-2026-13-45T10-00-00.000.log"];
  const plan = planLogBackups("audit.log", files, { maxAgeDays: 1, maxBackups: 1, compress: true }, now);
  assert.deepEqual(plan, { remove: [], compress: [] });
});
