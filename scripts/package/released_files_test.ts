import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { execFileSync, spawnSync } from "node:child_process";
import { lstat, readFile, readlink, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createTempFolder } from "../../tests/support/temp.ts";
import { createTar, type TarEntry } from "./released_files.ts";

const LONG = `${"a".repeat(60)}/${"b".repeat(60)}/${"c".repeat(60)}`;
const ENTRIES: readonly TarEntry[] = [
  { path: "d/", mode: 0o755 },
  { path: "d/file", mode: 0o644, data: Buffer.from("x".repeat(1025)) },
  { path: "d/program", mode: 0o755, data: Buffer.from("#!/bin/sh\n") },
  { path: "d/empty", mode: 0o600, data: new Uint8Array() },
  { path: LONG, mode: 0o644, data: Buffer.from("deep") },
  { path: "d/link", mode: 0o777, target: "file" },
  { path: "d/own/", mode: 0o700, owner: 65_532 },
];
const WHEN = 1_769_860_800;

const skip = spawnSync("tar", ["--version"]).error && "tar is not installed";

test("createTar() writes archives that tar reads: contents, modes, links, dates, owners", { skip }, async () => {
  await using folder = await createTempFolder();
  const archive = folder.join("a.tar");
  await writeFile(archive, createTar(ENTRIES, WHEN));
  const listing = execFileSync("tar", ["--numeric-owner", "-tvf", archive], { encoding: "utf8", env: { TZ: "UTC" } });
  assert.match(listing, /^-rw-r--r-- 0\/0 +1025 2026-01-31 12:00 d\/file$/m);
  assert.match(listing, /^drwx------ 65532\/65532 +0 2026-01-31 12:00 d\/own\/$/m);
  execFileSync("tar", ["-xpf", archive, "-C", folder.path, "--no-same-owner"]);
  assert.equal(await readFile(folder.join("d", "file"), "utf8"), "x".repeat(1025));
  assert.equal(await readFile(folder.join(LONG), "utf8"), "deep");
  assert.equal((await lstat(folder.join("d", "program"))).mode & 0o777, 0o755);
  assert.equal((await lstat(folder.join("d", "empty"))).mode & 0o777, 0o600);
  assert.equal((await lstat(folder.join("d", "file"))).mtimeMs, WHEN * 1000);
  assert.equal(await readlink(folder.join("d", "link")), "file");
});

test("createTar() gives the same bytes for the same contents, in whole records", () => {
  const archive = createTar(ENTRIES, WHEN);
  assert.deepEqual(createTar(ENTRIES, WHEN), archive);
  assert.equal(archive.length % 10_240, 0);
  assert.equal(createTar([], WHEN).length, 10_240);
});

test("createTar() refuses names that do not fit", () => {
  assert.throws(() => createTar([{ path: "a".repeat(101), mode: 0o644 }], WHEN), /too long for tar/);
  assert.throws(() => createTar([{ path: `${"a".repeat(160)}/${"b".repeat(90)}`, mode: 0o644 }], WHEN), /too long/);
});
