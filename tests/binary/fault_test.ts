/** Faults of the released file: damage on the way to a machine, and disks that refuse writes. */
import assert from "node:assert/strict";
import { copyFile, open, readFile, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { mountSmallDisk } from "../support/interop/small_disk.ts";
import { type Finished, runProgram, succeedProgram } from "../support/child.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { hostFile, releasedFolder } from "../support/binary/released.ts";

/** The README's command, which checks only the files that are present. */
const CHECK = "sha256sum --check --ignore-missing SHA256SUMS";

/** Copies the file and SHA256SUMS to a folder, as to a USB stick. */
async function createStick(folder: TempFolder): Promise<string> {
  const file = folder.join(basename(hostFile()));
  await copyFile(hostFile(), file);
  await copyFile(join(releasedFolder(), "SHA256SUMS"), folder.join("SHA256SUMS"));
  return file;
}

function check(folder: TempFolder): Promise<Finished> {
  return runProgram("sh", ["-c", CHECK], { cwd: folder.path });
}

test("the checksum command of the README accepts the file", async () => {
  assert.ok((await readFile(join(process.cwd(), "README.md"), "utf8")).includes(CHECK));
  await using folder = await createTempFolder();
  const file = await createStick(folder);
  const { code, stdout } = await check(folder);
  assert.deepEqual({ code, stdout }, { code: 0, stdout: `${basename(file)}: OK\n` });
});

for (const length of [0, 1000, 50_000_000, -1]) {
  test(`the checksum command refuses a file that was cut off ${length < 0 ? "before its last byte" : `after ${length}`}`, async () => {
    await using folder = await createTempFolder();
    const file = await createStick(folder);
    await truncate(file, length < 0 ? (await stat(file)).size + length : length);
    const { code, stdout } = await check(folder);
    assert.deepEqual({ code, stdout }, { code: 1, stdout: `${basename(file)}: FAILED\n` });
  });
}

test("the checksum command refuses a file with one changed bit in its scripts", async () => {
  await using folder = await createTempFolder();
  const path = await createStick(folder);
  const at = (await readFile(path)).indexOf("Kubernetes API: ");
  assert.ok(at > 0);
  const file = await open(path, "r+");
  await file.write(Uint8Array.of("k".charCodeAt(0)), 0, 1, at);
  await file.close();
  assert.equal((await check(folder)).code, 1);
});

test("a shell reports that a file for another processor cannot run", async () => {
  await using folder = await createTempFolder();
  const file = folder.join("tlsboot");
  await copyFile(hostFile(), file);
  const header = await open(file, "r+");
  // A processor that no emulator on this host runs: the value of ELF's `e_machine` is not assigned.
  await header.write(Uint8Array.of(0xff, 0xff), 0, 2, 18);
  await header.close();
  const { code, stderr } = await runProgram("bash", ["-c", `${file} version`]);
  assert.equal(code, 126);
  assert.match(stderr, /cannot execute binary file: Exec format error/);
});

test("the file reports a full disk, and works when there is space again", async () => {
  await using folder = await createTempFolder();
  await using disk = await mountSmallDisk(folder.join("disk"), 4096);
  await disk.fill();
  const args = ["ca", "init", "--data-dir", join(disk.path, "data")];
  const { code, stderr } = await runProgram(hostFile(), args);
  assert.equal(code, 1);
  assert.match(stderr, /^tlsboot: error: cannot (?:create|write) ".*": no space left on device$/m);
  assert.match(stderr, /^tlsboot: hint: free some space and run the command again$/m);
  await disk.free();
  await succeedProgram(hostFile(), args);
});

test("the file reports that the data folder of an instance is read-only", async () => {
  await using folder = await createTempFolder();
  const data = folder.join("data");
  await succeedProgram(hostFile(), ["ca", "init", "--data-dir", data]);
  const script = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; exec "$2" up --data-dir "$1" --secure-port 0';
  const { code, stderr } = await runProgram("unshare", ["--mount", "sh", "-euc", script, "sh", data, hostFile()]);
  assert.equal(code, 1);
  assert.match(stderr, /^tlsboot: error: cannot .*"\/.*\/data\/.*": /m);
  assert.match(stderr, /^tlsboot: hint: .*writable/m);
});

test("the file runs through a symbolic link with another name", async () => {
  await using folder = await createTempFolder();
  await symlink(hostFile(), folder.join("tlsboot"));
  const { stdout } = await succeedProgram(folder.join("tlsboot"), ["version"], { cwd: folder.path });
  assert.match(stdout, /^tlsboot version: /);
});

test("the file ignores NODE_OPTIONS and files in its working directory", async () => {
  await using folder = await createTempFolder();
  await writeFile(folder.join("main.js"), "throw new Error('not ours')");
  await writeFile(folder.join("package.json"), "not JSON");
  const { stdout } = await succeedProgram(hostFile(), ["version"], {
    cwd: folder.path,
    env: { NODE_OPTIONS: `--require=${folder.join("main.js")}` },
  });
  assert.match(stdout, /^tlsboot version: /);
});
