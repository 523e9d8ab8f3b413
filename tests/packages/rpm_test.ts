/**
 * The RPM package: installed, upgraded and removed by rpm in a separate root, whose systemd runs its service. The tests
 * of the Debian package, which has the same files, cover the other units.
 */
import assert from "node:assert/strict";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { ROOT, succeedProgram } from "../support/child.ts";
import { createOtherRoot, type OtherRoot } from "../support/packages/other_root.ts";
import { ensureDebianPackages } from "../support/peers/debian.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const ARCHITECTURE = process.arch === "arm64" ? "aarch64" : "x86_64";
const PROGRAM = `tlsboot-${TLSBOOT_VERSION}-linux-${process.arch}`;
/** The database of rpm does not contain Debian's packages. */
const RPM = "rpm --nodeps";

let folder: TempFolder;
let root: OtherRoot;

function toFileName(revision: number): string {
  return `tlsboot-${TLSBOOT_VERSION}-${revision}.${ARCHITECTURE}.rpm`;
}

async function makePackage(dist: string, revision: number): Promise<void> {
  const args = ["run", "-A", "scripts/package/rpm.ts", "--dist", folder.join(dist), "--revision", String(revision)];
  await succeedProgram(process.execPath, args);
}

describe("the RPM package", () => {
  before(async () => {
    folder = await createTempFolder();
    await ensureDebianPackages(["rpm", "systemd"]);
    for (const name of ["share", "mount"]) await mkdir(folder.join(name));
    await copyFile(join(ROOT, "dist", PROGRAM), folder.join("share", PROGRAM));
    await makePackage("share", 1);
    await makePackage("share", 2);
    root = await createOtherRoot(folder.join("mount"), folder.join("share"));
  });
  after(async () => {
    await root?.[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  test("packaging twice gives the same bytes, also for another processor", async () => {
    for (const name of ["first", "second"]) {
      await mkdir(folder.join(name));
      // A small stand-in, because packaging the real program takes as long as all other tests here.
      for (const target of ["x64", "arm64"]) {
        await writeFile(folder.join(name, `tlsboot-${TLSBOOT_VERSION}-linux-${target}`), "#!/bin/sh\n");
      }
      await makePackage(name, 1);
    }
    for (const target of ["x86_64", "aarch64"]) {
      const name = `tlsboot-${TLSBOOT_VERSION}-1.${target}.rpm`;
      assert.deepEqual(await readFile(folder.join("first", name)), await readFile(folder.join("second", name)));
    }
  });

  test("installation adds the program, kubectl plugin, user, units, manual pages and completion", async () => {
    await root.run(`${RPM} --install /tmp/share/${toFileName(1)}`);
    assert.equal(await root.run("rpm --verify --nodeps tlsboot"), "");
    assert.equal(JSON.parse(await root.run("kubectl-tlsboot version -o json")).version, TLSBOOT_VERSION);
    assert.match(await root.run("getent passwd tlsboot"), /:\/var\/lib\/tlsboot:/);
    assert.match(await root.run("zcat /usr/share/man/man1/tlsboot-up.1.gz"), /^\.TH "TLSBOOT\\-UP" "1" "2/m);
    await root.run("test -s /usr/share/zsh/site-functions/_tlsboot && systemctl cat tlsboot.socket 'tlsboot-signer@x'");
    const requires = await root.run(`rpm --query --requires tlsboot`);
    assert.match(requires, /^libc\.so\.6\(GLIBC_2\.28\)\(64bit\)$/m);
  });

  test("an upgrade restarts the running server and keeps settings and data", async () => {
    await root.run(
      "systemctl start tlsboot && echo 'auditLogPath: /var/lib/tlsboot/audit.log' >> /etc/tlsboot/up.yaml",
    );
    const facts = "sha256sum /var/lib/tlsboot/pki/ca.crt /etc/tlsboot/up.yaml; id tlsboot";
    const before = await root.run(facts);
    const started = await root.run("systemctl show -P MainPID tlsboot");
    await root.run(`${RPM} --upgrade /tmp/share/${toFileName(2)}`);
    assert.equal(await root.run("rpm --query tlsboot"), `tlsboot-${TLSBOOT_VERSION}-2.${ARCHITECTURE}\n`);
    assert.equal(await root.run(facts), before);
    assert.notEqual(await root.run("systemctl is-active tlsboot && systemctl show -P MainPID tlsboot"), started);
    await root.run("tlsboot get csr --data-dir /var/lib/tlsboot && test -s /var/lib/tlsboot/audit.log");
  });

  test("removal keeps changed settings and the instance's data", async () => {
    assert.match(await root.run(`${RPM} --erase tlsboot`), /CA and data stay in \/var\/lib\/tlsboot/);
    assert.equal((await root.attempt("pgrep -x tlsboot")).stdout, "", "no process is left");
    assert.equal(await root.run("find /usr/bin /usr/lib/systemd /usr/share /usr/lib/sysusers.d -name '*tlsboot*'"), "");
    await root.run("test -f /etc/tlsboot/up.yaml.rpmsave && test -f /var/lib/tlsboot/pki/ca.key");
  });
});
