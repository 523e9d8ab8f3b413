/** Backups with the real age and tar, stock kubectl across a restore, and full disks. */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, stat, statfs, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { runProgram, succeedProgram } from "../../support/child.ts";
import { createTempFolder, type TempFolder } from "../../support/temp.ts";
import { csrManifest } from "../../support/interop/openssl.ts";
import { startInstance } from "../../support/interop/instance.ts";
import { waitForCertificate } from "../../support/interop/kubectl.ts";
import { mountSmallDisk } from "../../support/interop/small_disk.ts";

async function createKey(folder: TempFolder): Promise<{ readonly recipient: string; readonly path: string }> {
  const path = folder.join("key.txt");
  await succeedProgram("age-keygen", ["-o", path]);
  const [, recipient = ""] = /public key: (age1\S+)/.exec(await readFile(path, "utf8")) ?? [];
  return { recipient, path };
}

test("age opens a backup and tar unpacks it; restore opens a backup sealed by age; kubectl works against the restored instance", async () => {
  await using folder = await createTempFolder();
  const { recipient, path } = await createKey(folder);
  const backup = folder.join("instance.backup");
  const second = folder.join("second");
  {
    await using instance = await startInstance({ dataDir: folder.join("first") });
    await instance.kubectl.create(await csrManifest("kept"));
    await instance.kubectl.run("certificate", "approve", "kept");
    await waitForCertificate(instance.kubectl, "kept");
    await instance.succeed("backup", backup, "--data-dir", instance.dataDir, "--recipient", recipient);
    await instance.kubectl.create(await csrManifest("lost"));

    await succeedProgram("age", ["-d", "-i", path, "-o", folder.join("plain.tar"), backup]);
    await mkdir(folder.join("plain"));
    await succeedProgram("tar", ["-xf", folder.join("plain.tar"), "-C", folder.join("plain")]);
    const key = "pki/ca.key";
    assert.equal(
      await readFile(folder.join(`plain/files/${key}`), "utf8"),
      await readFile(`${instance.dataDir}/${key}`, "utf8"),
    );
    assert.match(await readFile(folder.join("plain/objects/000001.ndjson"), "utf8"), /"name":"kept"/);

    // In reverse: age seals the same archive, and we open it.
    const sealed = folder.join("sealed.backup");
    await succeedProgram("age", ["-r", recipient, "-o", sealed, folder.join("plain.tar")]);
    await instance.succeed("restore", sealed, "--data-dir", second, "--identity", path);
  }
  await using instance = await startInstance({ dataDir: second });
  assert.equal(
    (await instance.kubectl.run("get", "csr", "--output=name")).trim(),
    "certificatesigningrequest.certificates.k8s.io/kept",
  );
  await instance.kubectl.create(await csrManifest("next"));
  await instance.kubectl.run("certificate", "approve", "next");
  await waitForCertificate(instance.kubectl, "next");
});

test("backup and restore report a full disk and leave no partial files", async () => {
  await using folder = await createTempFolder();
  const { recipient, path } = await createKey(folder);
  await using disk = await mountSmallDisk(folder.join("disk"), 512);
  await using instance = await startInstance();
  const backup = (to: string) =>
    instance.tlsboot("backup", to, "--data-dir", instance.dataDir, "--recipient", recipient);
  assert.equal((await backup(folder.join("good.backup"))).code, 0);
  await disk.fill();
  const created = await backup(`${disk.path}/a.backup`);
  assert.equal(created.code, 1);
  assert.match(created.stderr, /cannot write backup "\S+a\.backup"[^]*the disk is full/);
  const to = ["--data-dir", `${disk.path}/data`, "--identity", path];
  const restored = await instance.tlsboot("restore", folder.join("good.backup"), ...to);
  assert.equal(restored.code, 1);
  assert.match(restored.stderr, /cannot (?:restore|open|write)[^]*(?:full|space)/i);
  assert.deepEqual(await readdir(disk.path), ["ballast"]);
});

test("readiness fails before the disk is full and recovers afterwards; a full disk loses audit events, not requests", async () => {
  await using folder = await createTempFolder();
  await using disk = await mountSmallDisk(folder.join("disk"), 8192);
  const log = `${disk.path}/audit.log`;
  const args = ["--storage-min-free", "2", "--audit-log-path", log];
  await using instance = await startInstance({ dataDir: `${disk.path}/data`, args });
  const ready = async () => (await instance.kubectl.try("get", "--raw", "/readyz?verbose")).code === 0;
  assert.ok(await ready());
  const { bavail, bsize } = await statfs(disk.path);
  await writeFile(`${disk.path}/half`, new Uint8Array(bavail * bsize - 1_600_000));
  assert.ok(!(await ready()));
  const { stderr } = await instance.kubectl.try("get", "--raw", "/readyz/storage-space");
  assert.match(stderr, /the disk of the data directory has [01] MB left, less than 2/);
  assert.equal(await instance.kubectl.run("get", "--raw", "/livez"), "ok");
  await instance.kubectl.create(await csrManifest("still"));

  await disk.fill();
  // The last page of the file has room for a few more lines.
  const requests = Array.from({ length: 12 }, () => instance.kubectl.run("get", "--raw", "/version"));
  await Promise.all(requests);
  await instance.running.waitFor(/audit events lost/);
  const size = (await stat(log)).size;
  await instance.kubectl.run("get", "csr");
  assert.equal((await stat(log)).size, size, "the log has grown");
  await disk.free();
  await runProgram("rm", [`${disk.path}/half`]);
  assert.ok(await ready());
  await instance.kubectl.run("get", "csr");
  const lines = (await readFile(log, "utf8")).trimEnd().split("\n");
  for (const line of lines) JSON.parse(line);
  assert.match(
    await instance.kubectl.run("get", "--raw", "/metrics"),
    /^apiserver_audit_error_total\{plugin="log"\} [1-9]/m,
  );
});

test("an almost full disk of the audit log is reported, and fails readiness only if the log is strict", async () => {
  for (const isStrict of [false, true]) {
    await using folder = await createTempFolder();
    await using disk = await mountSmallDisk(folder.join("disk"), 8192);
    const { bavail, bsize } = await statfs(disk.path);
    await writeFile(`${disk.path}/half`, new Uint8Array(bavail * bsize - 1_600_000));
    const mode = isStrict ? ["--audit-log-mode", "blocking-strict"] : [];
    const args = ["--storage-min-free", "2", "--audit-log-path", `${disk.path}/audit.log`, ...mode];
    await using instance = await startInstance({ args });
    await instance.running.waitFor(/a disk is almost full.*audit log/);
    const { code, stderr } = await instance.kubectl.try("get", "--raw", "/readyz/storage-space");
    assert.equal(code === 0, !isStrict, stderr);
    if (isStrict) assert.match(stderr, /the disk of the audit log has [01] MB left, less than 2/);
    const page = await instance.kubectl.run("get", "--raw", "/metrics");
    const [, free = ""] = /^tlsboot_audit_disk_free_bytes (\d+)$/m.exec(page) ?? [];
    assert.ok(Number(free) > 0 && Number(free) < 2 * 1_048_576, free);
    await runProgram("rm", [`${disk.path}/half`]);
    assert.equal((await instance.kubectl.try("get", "--raw", "/readyz/storage-space")).code, 0);
  }
});
