import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { test } from "node:test";
import { createTempFolder } from "../../tests/support/temp.ts";
import { buildSeconds, defineBuild, readBuildFacts } from "./facts.ts";

const skip = spawnSync("git", ["--version"]).error && "git is not installed";

test("readBuildFacts() returns commit and date of a checkout, and whether it was modified", { skip }, async () => {
  await using folder = await createTempFolder();
  const git = (...args: readonly string[]) =>
    execFileSync("git", ["-C", folder.path, "-c", "user.name=n", "-c", "user.email=e@example.com", ...args], {
      encoding: "utf8",
      env: { ...process.env, GIT_COMMITTER_DATE: "2026-01-31T13:00:00+01:00" },
    }).trim();
  git("init", "-q");
  await writeFile(folder.join("a"), "1");
  git("add", "a");
  git("commit", "-q", "-m", "a");
  const commit = git("rev-parse", "HEAD");
  assert.deepEqual(readBuildFacts(folder.path, {}), { commit, date: "2026-01-31T12:00:00Z" });
  await writeFile(folder.join("untracked"), "2");
  assert.equal(readBuildFacts(folder.path, {}).commit, commit);
  await writeFile(folder.join("a"), "2");
  assert.equal(readBuildFacts(folder.path, {}).commit, `${commit}-modified`);
});

test("readBuildFacts() accepts facts from a builder, and has none outside of a checkout", async () => {
  await using folder = await createTempFolder();
  assert.deepEqual(readBuildFacts(folder.path, {}), { commit: "unknown", date: "unknown" });
  const facts = readBuildFacts(folder.path, { TLSBOOT_BUILD_COMMIT: "abc", SOURCE_DATE_EPOCH: "1769860800" });
  assert.deepEqual(facts, { commit: "abc", date: "2026-01-31T12:00:00Z" });
  assert.equal(buildSeconds(facts), 1_769_860_800);
  assert.throws(() => readBuildFacts(folder.path, { SOURCE_DATE_EPOCH: "today" }), /not a number of seconds/);
});

test("defineBuild() renders one line, from which a program reads the facts", () => {
  const facts = { commit: 'a"b', date: "2026-01-31T12:00:00Z" };
  const line = defineBuild(facts);
  assert.match(line, /^[^\n]*\n$/);
  // The built program does the same with the line in front of it.
  assert.deepEqual(JSON.parse(new Function(`${line}return TLSBOOT_BUILD;`)()), facts);
});
