import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createFilePort } from "../client/files.ts";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../tests/support/memory_logger.ts";
import { createInstanceDeps } from "../tests/support/instance_deps.ts";
import { createTempFolder } from "../tests/support/temp.ts";
import { createSystemClock } from "../cli/system.ts";
import { startInstance } from "./instance.ts";
import { DEFAULT_SETTINGS } from "./settings.ts";

const DAY_S = 86_400;

test("renew() of an instance logs certificates of an earlier run that were not renewed, and full disks", async () => {
  await using folder = await createTempFolder();
  const logger = createMemoryLogger();
  const clock = createFakeClock(createSystemClock().now());
  const now = Math.floor(clock.now().getTime() / 1000);
  await createFilePort().makeDirectory(folder.join("data"), 0o700);
  const lines = [
    { format: 1, writtenAt: now * 1000 },
    ["kubernetes.io/kubelet-serving", "CN=late", now - 95 * DAY_S, now + 5 * DAY_S],
    ["kubernetes.io/kubelet-serving", "CN=fresh", now, now + 100 * DAY_S],
  ];
  const path = folder.join("data/issued-certificates.jsonl");
  await writeFile(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  await using instance = await startInstance(
    { ...DEFAULT_SETTINGS, dataDir: folder.join("data"), securePort: 0, storageMinFree: 1e12 },
    createInstanceDeps(folder.path, { clock, logger }),
    () => [],
  );
  const readWarnings = () => logger.entries.filter(({ level }) => level === "warn").map(({ message }) => message);
  assert.deepEqual(readWarnings(), ["a disk is almost full"]);
  await instance.renew();
  assert.deepEqual(readWarnings(), ["a disk is almost full", "a certificate is not renewed"]);
  assert.equal(logger.entries.find(({ message }) => message === readWarnings()[1])?.fields["subject"], "CN=late");
});
