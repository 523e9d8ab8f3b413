/**
 * The Debian package: installed, used, upgraded and removed with Debian's own tools, in a root of its own. Then the guide
 * that installs it, or the file without it, is typed as it stands.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { copyFile, cp, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { ROOT, runProgram } from "../support/child.ts";
import { readGuide } from "../support/guide.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { createOtherRoot, type OtherRoot } from "../support/packages/other_root.ts";

const { version } = JSON.parse(readFileSync("deno.json", "utf8"));
const ARCHITECTURE = process.arch === "arm64" ? "arm64" : "amd64";
const PROGRAM = `tlsboot-${version}-linux-${process.arch}`;
const UNITS = ["tlsboot.service", "tlsboot-signer@.service", "tlsboot-approver@.service"];
const DATA = "/var/lib/tlsboot";

let folder: TempFolder;
let root: OtherRoot;

before(async () => {
  folder = await createTempFolder();
  for (const name of ["share", "again", "mount"]) await mkdir(folder.join(name));
  for (const name of ["share", "again"]) await copyFile(join(ROOT, "dist", PROGRAM), folder.join(name, PROGRAM));
  await makePackage("share", 1);
  await makePackage("share", 2);
  root = await createOtherRoot(folder.join("mount"), folder.join("share"));
});
after(async () => {
  await root?.[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function toFileName(revision: number): string {
  return `tlsboot_${version}-${revision}_${ARCHITECTURE}.deb`;
}

/** Packages the file that `deno task build` has made. */
async function makePackage(dist: string, revision: number): Promise<void> {
  const args = ["run", "-A", "scripts/package/debian.ts", "--dist", folder.join(dist), "--revision", String(revision)];
  const { code, stderr } = await runProgram(process.execPath, args);
  assert.equal(code, 0, stderr);
}

/** Runs the server as its unit does, asks it something as root, and ends it. Answers its URL. */
async function useServer(root: OtherRoot, unitFolder = "/usr/lib/systemd/system"): Promise<string> {
  const unit = await root.run(`cat ${unitFolder}/tlsboot.service`);
  const [, command = ""] = unit.match(/^ExecStart=(.*)$/m) ?? [];
  assert.match(command, /^tlsboot up /);
  await root.run(`install -d -o tlsboot -g tlsboot -m 700 ${DATA}`);
  const pid = "/tmp/server.pid";
  const server = root.start("runuser", [
    ...["-u", "tlsboot", "--", "sh", "-c", `cd / && echo $$ > ${pid} && exec ${command} --secure-port 0`],
  ]);
  try {
    const [, url = ""] = await server.waitFor(/is up at (https:\/\/[^\s"]+)/);
    const answer = await root.attempt(`tlsboot get csr --data-dir ${DATA}`);
    assert.deepEqual({ code: answer.code, stderr: answer.stderr }, { code: 0, stderr: "No resources found\n" });
    return url;
  } finally {
    await root.run(`kill -TERM "$(cat ${pid})" && rm ${pid}`);
    await server.finished();
  }
}

test("the package is the same bytes each time", async () => {
  await makePackage("again", 1);
  assert.deepEqual(
    await readFile(folder.join("again", toFileName(1))),
    await readFile(folder.join("share", toFileName(1))),
  );
});

test("it installs: program, user, units, pages, completion, licences", async () => {
  await root.run(`dpkg -i /tmp/share/${toFileName(1)}`);
  assert.equal(await root.run("dpkg --verify tlsboot"), "");
  assert.match(await root.run("getent passwd tlsboot"), new RegExp(`:${DATA}:/usr/sbin/nologin$`, "m"));
  assert.equal(JSON.parse(await root.run("tlsboot version -o json")).version, version);
  assert.match(
    await root.run("stat -c '%U %G %a' /usr/bin/tlsboot /etc/tlsboot/up.yaml"),
    /^root root 755\nroot root 644\n$/,
  );
  assert.match(await root.run("zcat /usr/share/man/man1/tlsboot-up.1.gz"), /^\.TH "TLSBOOT\\-UP" "1" "2/m);
  assert.match(await root.run("cat /usr/share/doc/tlsboot/copyright"), /^Licence: Apache-2\.0$/m);
  await root.run("bash -n /usr/share/bash-completion/completions/tlsboot");
});

test("systemd accepts its units, and rates their exposure as low", async () => {
  const verified = await root.attempt(`systemd-analyze verify --man=no ${UNITS.join(" ")}`);
  assert.deepEqual(verified, { code: 0, stdout: "", stderr: "" });
  for (const unit of UNITS) {
    await root.run(`systemd-analyze security --no-pager --offline=true --threshold=20 ${unit}`);
  }
});

test("the server runs as the unit starts it", async () => {
  await useServer(root);
  assert.match(await root.run(`stat -c '%U %a' ${DATA}/pki/ca.key ${DATA}/tlsboot.db`), /^(tlsboot 600\n){2}$/);
});

test("an upgrade keeps settings and data, and opens them", async () => {
  const before = await root.run(`sha256sum ${DATA}/pki/ca.crt; id tlsboot`);
  await root.run("echo 'auditLogPath: /var/lib/tlsboot/audit.log' >> /etc/tlsboot/up.yaml");
  await root.run(`dpkg -i /tmp/share/${toFileName(2)}`);
  assert.equal(await root.run("dpkg-query -W -f '${Version}' tlsboot"), `${version}-2`);
  assert.equal(await root.run(`sha256sum ${DATA}/pki/ca.crt; id tlsboot`), before);
  await useServer(root);
  assert.match(await root.run(`cat ${DATA}/audit.log`), /"verb":"list"/);
});

test("it is removed with all but the settings, and purged with all but the instance's data", async () => {
  await root.run("dpkg -r tlsboot");
  assert.equal((await root.attempt("command -v tlsboot")).stdout, "");
  assert.equal(await root.run("find /usr/lib/systemd /usr/share /usr/lib/sysusers.d -name '*tlsboot*'"), "");
  await root.run("test -f /etc/tlsboot/up.yaml");
  assert.match(await root.run("dpkg -P tlsboot"), /CA and data stay in \/var\/lib\/tlsboot/);
  await root.run(`test ! -e /etc/tlsboot && test -f ${DATA}/pki/ca.key`);
  assert.match(await root.run("getent passwd tlsboot"), /tlsboot/);
});

/**
 * Types a block of the guide in a root of its own. Not every machine has `sudo`, an editor needs a person, and without a
 * running systemd a service is only enabled: `useServer` starts it then.
 */
async function typeBlock(
  index: number,
  folderInRoot: string,
  check: (root: OtherRoot) => Promise<void>,
): Promise<void> {
  const { blocks } = await readGuide("install");
  assert.equal(blocks.length, 3);
  const block = (blocks[index] ?? "").replaceAll("amd64", ARCHITECTURE).replaceAll("linux-x64", `linux-${process.arch}`)
    .replace("systemctl enable --now", "systemctl enable");
  await mkdir(folder.join(`mount-${index}`));
  await using root = await createOtherRoot(folder.join(`mount-${index}`), folder.join("share"));
  await root.run(`
    printf '#!/bin/sh\nexec "$@"\n' > /usr/local/bin/sudo
    printf '#!/bin/sh\necho "bindAddress: 127.0.0.2" >> "$1"\n' > /usr/local/bin/sudoedit
    chmod 755 /usr/local/bin/sudo /usr/local/bin/sudoedit
    mkdir -p "$(dirname ${folderInRoot})" && ln -sfn /tmp/share ${folderInRoot}`);
  await root.run(`set -e\ncd ${folderInRoot}\n${block}`);
  await check(root);
}

test("docs/guides/install.md: the file is checked and installed", async () => {
  await copyFile(join(ROOT, "dist", "SHA256SUMS"), folder.join("share", "SHA256SUMS"));
  await typeBlock(0, "/media/stick", async (root) => {
    assert.equal(JSON.parse(await root.run("/usr/local/bin/tlsboot version -o json")).version, version);
    const { code, stdout } = await root.attempt(`
      cp /tmp/share/SHA256SUMS /tmp && head -c 1000000 /tmp/share/${PROGRAM} > /tmp/${PROGRAM}
      cd /tmp && sha256sum --check --ignore-missing SHA256SUMS`);
    assert.deepEqual({ code, stdout }, { code: 1, stdout: `${PROGRAM}: FAILED\n` });
  });
});

test("docs/guides/install.md: apt installs the package, and its service is enabled and runs as edited", async () => {
  await typeBlock(1, "/tmp/download", async (root) => {
    assert.equal(await root.run("systemctl is-enabled tlsboot"), "enabled\n");
    assert.match(await useServer(root), /^https:\/\/127\.0\.0\.2:/);
  });
});

test("docs/guides/install.md: on any other machine with systemd the service is enabled and runs", async () => {
  await cp(join(ROOT, "packaging"), folder.join("share", "packaging"), { recursive: true });
  await typeBlock(2, "/tmp/download", async (root) => {
    assert.equal(await root.run("systemctl is-enabled tlsboot"), "enabled\n");
    await root.run(`systemd-analyze verify --man=no ${UNITS.join(" ")}`);
    await useServer(root, "/etc/systemd/system");
  });
});
