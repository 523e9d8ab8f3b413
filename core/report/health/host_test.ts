import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkBackups,
  checkDatabase,
  checkDisk,
  checkOpenFiles,
  checkServingNames,
  findNewest,
  isWholeArchive,
} from "./host.ts";

const MEGABYTE = 1_048_576;
const NOW = new Date("2026-01-10T00:00:00Z");

test("checkDisk() warns below 100 MB, fails below 4 MB, and removes leftovers where there are some", () => {
  const disk = { path: "data", leftovers: [] };
  assert.deepEqual(checkDisk({ ...disk, freeBytes: 100 * MEGABYTE }), []);
  const [low] = checkDisk({ ...disk, freeBytes: 99 * MEGABYTE });
  assert.equal(low?.severity, "warning");
  assert.equal(low?.fix, undefined);
  const [full] = checkDisk({ ...disk, freeBytes: 3 * MEGABYTE, leftovers: ["data/.a b.1.tmp"] });
  assert.equal(full?.severity, "error");
  assert.equal(full?.fix, "rm 'data/.a b.1.tmp'");
});

for (
  const { name, open, softLimit, hardLimit, want } of [
    { name: "a common limit", open: 20, softLimit: 1_024, hardLimit: 4_096, want: undefined },
    { name: "no limit", open: 20, softLimit: Infinity, hardLimit: Infinity, want: undefined },
    {
      name: "a low soft limit",
      open: 20,
      softLimit: 256,
      hardLimit: 4_096,
      want: "warning prlimit --pid 7 --nofile=4096:",
    },
    {
      name: "a low hard limit, which only root raises",
      open: 20,
      softLimit: 256,
      hardLimit: 256,
      want: "warning prlimit --pid 7 --nofile=65536:65536",
    },
    {
      name: "a limit that is nearly reached",
      open: 1_000,
      softLimit: 1_024,
      hardLimit: Infinity,
      want: "error prlimit --pid 7 --nofile=65536:",
    },
  ]
) {
  test(`checkOpenFiles() checks ${name}`, () => {
    const [fault] = checkOpenFiles({ pid: 7, open, softLimit, hardLimit });
    assert.equal(fault === undefined ? undefined : `${fault.severity} ${fault.fix}`, want);
  });
}

test("checkBackups() and checkDatabase() use the newest backup, and give a command where a passphrase opens it", () => {
  const old = { path: "old.backup", madeAt: new Date("2026-01-01T00:00:00Z"), hasPassphrase: true, isWhole: true };
  const newer = { path: "new.backup", madeAt: new Date("2026-01-02T23:00:00Z"), hasPassphrase: true, isWhole: true };
  const recent = { ...newer, madeAt: new Date("2026-01-03T01:00:00Z") };
  assert.deepEqual(checkBackups([old, recent], "data", NOW), []);
  assert.equal(checkBackups([newer, old], "data", NOW)[0]?.fix, "tlsboot backup new.backup --data-dir data --force");
  assert.match(checkBackups([{ ...newer, hasPassphrase: false }], "data", NOW)[0]?.advice ?? "", /--recipient age1…$/);

  const database = { path: "data/tlsboot.db", dataDir: "data", backups: [old, newer] };
  assert.deepEqual(checkDatabase({ ...database, fault: undefined }), []);
  assert.equal(
    checkDatabase({ ...database, fault: "x" })[0]?.fix,
    "tlsboot restore new.backup --data-dir data --force",
  );
  const [hopeless] = checkDatabase({ ...database, fault: "x", backups: [] });
  assert.equal(hopeless?.fix, undefined);
  assert.match(hopeless?.advice ?? "", /^stop the server and restore a backup: /);
});

test("checkServingNames() finds a certificate for another host, and an address that this computer no longer has", () => {
  const evidence = {
    path: "apiserver.crt",
    names: ["localhost", "10.0.0.5"],
    addresses: ["10.0.0.5"],
    renewal: "rm x",
  };
  const find = (host: string, addresses = evidence.addresses, isAnswered = false) =>
    checkServingNames({ ...evidence, host, addresses, isAnswered })[0];
  assert.equal(find("10.0.0.5"), undefined);
  assert.equal(find("LOCALHOST"), undefined);
  assert.equal(find("10.0.0.9")?.fix, "rm x");
  const moved = find("10.0.0.5", ["10.0.0.7", "10.1.0.7"]);
  assert.equal(moved?.severity, "warning");
  assert.match(moved.message, /is for 10\.0\.0\.5, and this computer has 10\.0\.0\.7, 10\.1\.0\.7$/);
  assert.equal(find("10.0.0.5", ["10.0.0.7"], true), undefined, "a load balancer has the address");
});

test("isWholeArchive() finds the cut of an age file by its size", () => {
  // A nonce, and for each chunk of 64 KiB a tag.
  const [short, long] = [16 + 10_240 + 16, 16 + 2 * 65_536 + 1024 + 3 * 16];
  for (const bytes of [short, long]) {
    assert.equal(isWholeArchive(bytes), true);
    for (const cut of [1, 16, 511, bytes - 2_000, bytes - 16, bytes]) {
      assert.equal(isWholeArchive(bytes - cut), false, `${cut}`);
    }
  }
});

test("checkBackups() reports a backup that is cut off, and findNewest() never proposes it", () => {
  const cut = { path: "cut.backup", madeAt: NOW, hasPassphrase: true, isWhole: false };
  const whole = { path: "old.backup", madeAt: new Date(NOW.getTime() - 1), hasPassphrase: true, isWhole: true };
  assert.equal(findNewest([cut, whole]), whole);
  assert.equal(findNewest([cut]), undefined);
  assert.deepEqual(checkBackups([cut, whole], "data", NOW).map(({ message, fix }) => [message, fix]), [
    [
      'the backup "cut.backup" is cut off or damaged, and cannot be restored',
      "tlsboot backup cut.backup --data-dir data --force",
    ],
  ]);
});
