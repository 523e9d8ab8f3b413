/**
 * The Debian package: installed, used, upgraded and removed with Debian's tools in a separate root, whose systemd runs
 * the units in their sandboxes. The last tests run the installation guide, and install services without a package.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { ROOT, runProgram, start, succeedProgram } from "../support/child.ts";
import { readGuide } from "../support/guide.ts";
import { ensureDebianProgram } from "../support/peers/debian.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../support/temp.ts";
import { createOtherRoot, type OtherRoot } from "../support/packages/other_root.ts";

const { version } = JSON.parse(readFileSync("deno.json", "utf8"));
const ARCHITECTURE = process.arch === "arm64" ? "arm64" : "amd64";
const PROGRAM = `tlsboot-${version}-linux-${process.arch}`;
const UNITS = [
  ...["tlsboot.service", "tlsboot.socket"],
  ...["tlsboot-signer@.service", "tlsboot-approver@.service", "tlsboot-attestor@.service"],
];
const DATA = "/var/lib/tlsboot";

let folder: TempFolder;
let root: OtherRoot;

function toFileName(revision: number): string {
  return `tlsboot_${version}-${revision}_${ARCHITECTURE}.deb`;
}

/** Packages the file that `deno task build` made. */
async function makePackage(dist: string, revision: number): Promise<void> {
  const args = ["run", "-A", "scripts/package/debian.ts", "--dist", folder.join(dist), "--revision", String(revision)];
  await succeedProgram(process.execPath, args);
}

/** Starts units. A failure includes their logs. */
async function startUnits(root: OtherRoot, ...units: readonly string[]): Promise<void> {
  await root.run(`systemctl restart ${units.join(" ")} || { journalctl --no-pager -o cat -n 40; exit 1; }`);
}

/** Reads properties of a unit, without their names. */
async function show(root: OtherRoot, unit: string, ...names: readonly string[]): Promise<readonly string[]> {
  return await Promise.all(names.map(async (name) => (await root.run(`systemctl show -P ${name} ${unit}`)).trim()));
}

/** Waits until a shell line succeeds. A timeout includes the units' logs. */
async function until(root: OtherRoot, line: string): Promise<void> {
  await root.run(`
    ends=$(($(date +%s) + 180))
    until ${line}; do
      [ "$(date +%s)" -lt $ends ] || { journalctl --no-pager -o cat -n 40; exit 1; }
      sleep 0.2
    done`);
}

/** Changes settings of a unit as `systemctl edit` does, or undoes all changes. */
async function edit(root: OtherRoot, unit: string, ...settings: readonly string[]): Promise<void> {
  const folder = `/run/systemd/system/${unit}.d`;
  const section = unit.endsWith(".socket") ? "[Socket]" : "[Service]";
  const text = [section, ...settings].join("\n");
  await root.run(
    settings.length === 0
      ? `rm -r ${folder} && systemctl daemon-reload`
      : `mkdir -p ${folder} && cat > ${folder}/test.conf <<'EOF'\n${text}\nEOF\nsystemctl daemon-reload`,
  );
}

/** Starts the server's unit unless it runs, sends requests to it as root, and returns its URL. */
async function useServer(root: OtherRoot): Promise<string> {
  if ((await root.attempt("systemctl is-active --quiet tlsboot")).code !== 0) await startUnits(root, "tlsboot");
  const [status = ""] = await show(root, "tlsboot", "StatusText");
  const [, url = ""] = status.match(/^serving (https:\/\/\S+)$/) ?? [];
  assert.equal(await root.run(`curl --silent --show-error --insecure ${url}/readyz`), "ok", status);
  const answer = await root.attempt(`tlsboot get csr --data-dir ${DATA}`);
  assert.equal(answer.code, 0, answer.stderr);
  return url;
}

/** Creates a root with the program as a file, without the package. */
async function createInstalledRoot(name: string): Promise<OtherRoot> {
  await mkdir(folder.join(`mount-${name}`));
  const root = await createOtherRoot(folder.join(`mount-${name}`), folder.join("share"));
  await root.run(`install -m 755 /tmp/share/${PROGRAM} /usr/local/bin/tlsboot`);
  return root;
}

/** Runs a block of the guide in a new root, with stand-ins for `sudo` and for the editor. */
async function runBlock(
  index: number,
  folderInRoot: string,
  check: (root: OtherRoot) => Promise<void>,
): Promise<void> {
  const { blocks } = await readGuide("install");
  assert.equal(blocks.length, 3);
  const block = (blocks[index] ?? "").replaceAll("amd64", ARCHITECTURE).replaceAll(
    "linux-x64",
    `linux-${process.arch}`,
  );
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

describe("the Debian package", () => {
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

  test("packaging twice gives the same bytes", async () => {
    await makePackage("again", 1);
    assert.deepEqual(
      await readFile(folder.join("again", toFileName(1))),
      await readFile(folder.join("share", toFileName(1))),
    );
  });

  test("lintian reports no error and no warning", async () => {
    // The spelling check of the program takes half of the time and only gives hints.
    const flags = ["--allow-root", "--dont-check-part", "binaries/spelling"];
    const { code, stdout, stderr } = await runProgram("lintian", [...flags, folder.join("share", toFileName(1))]);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: "" }, stderr);
  });

  test("installation adds the program, user, units, manual pages, completion and licences", async () => {
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
    // kubectl finds its plugin by the name of the link, kubectl-tlsboot.
    const kubectl = join(await ensureDebianProgram("kubernetes-client"), "usr", "bin", "kubectl");
    await copyFile(kubectl, folder.join("share", "kubectl"));
    assert.equal(JSON.parse(await root.run("/tmp/share/kubectl tlsboot version -o json")).version, version);
  });

  test("systemd accepts the units and rates their exposure as low", async () => {
    const verified = await root.attempt(`systemd-analyze verify --man=no ${UNITS.join(" ")}`);
    assert.deepEqual(verified, { code: 0, stdout: "", stderr: "" });
    for (const unit of UNITS.filter((name) => name.endsWith(".service"))) {
      await root.run(`systemd-analyze security --no-pager --offline=true --threshold=15 ${unit}`);
    }
  });

  test("systemd starts the server, reports it as ready when it serves, and stops it", async () => {
    await useServer(root);
    assert.match(await root.run(`stat -c '%U %a' ${DATA}/pki/ca.key ${DATA}/tlsboot.db`), /^(tlsboot 600\n){2}$/);
    await root.run("systemctl stop tlsboot");
    assert.deepEqual(await show(root, "tlsboot", "ActiveState", "Result"), ["inactive", "success"]);
  });

  test("systemd restarts a server that crashes or hangs", async () => {
    await edit(root, "tlsboot.service", "WatchdogSec=10s", "RestartSec=100ms");
    await startUnits(root, "tlsboot");
    await root.run("systemctl kill --kill-whom=main --signal=KILL tlsboot");
    await until(root, '[ "$(systemctl show -P NRestarts tlsboot)" -ge 1 ] && systemctl is-active --quiet tlsboot');
    await root.run("systemctl kill --kill-whom=main --signal=STOP tlsboot");
    await until(root, "journalctl -u tlsboot | grep -q 'Watchdog timeout'");
    await until(root, "systemctl is-active --quiet tlsboot");
    await edit(root, "tlsboot.service");
    await startUnits(root, "tlsboot");
    await useServer(root);
  });

  test("with socket activation, clients that connect while the server is stopped wait for it", async () => {
    await root.run("systemctl stop tlsboot && systemctl start tlsboot.socket");
    const url = await useServer(root);
    await root.run("systemctl stop tlsboot");
    assert.equal(await root.run(`curl --silent --show-error --insecure ${url}/readyz`), "ok");
    await root.run("systemctl stop tlsboot.socket tlsboot");
    await edit(root, "tlsboot.socket", "ListenStream=", "ListenStream=127.0.0.1:6444");
    assert.notEqual((await root.attempt("systemctl start tlsboot.socket && systemctl start tlsboot")).code, 0);
    assert.match(
      await root.run("journalctl --no-pager -o cat -u tlsboot -n 20"),
      /cannot listen on "127\.0\.0\.1:6443": the socket that systemd has passed listens on "127\.0\.0\.1:6444"/,
    );
    await root.run("systemctl stop tlsboot.socket");
    await edit(root, "tlsboot.socket");
    await startUnits(root, "tlsboot");
  });

  test("the server also accepts a socket from systemd when it runs on Deno", async () => {
    const port = await findServerPort();
    const program = [process.execPath, "run", "-A", "--no-check", "--quiet", join(ROOT, "cli", "main.ts")];
    const serve = ["serve", "--data-dir", folder.join("passed"), "--secure-port", String(port)];
    await using activation = start("systemd-socket-activate", ["-l", `127.0.0.1:${port}`, ...program, ...serve]);
    await activation.waitFor(/Listening on/);
    const url = `https://127.0.0.1:${port}/readyz`;
    const { stdout, stderr } = await runProgram("curl", ["--silent", "--show-error", "--insecure", url]);
    assert.equal(stdout, "ok", `${stderr}${activation.stderr()}`);
  });

  test("the error for a folder that the unit hides names the setting that hides it, and its hint works", async () => {
    const before = await root.run("mkdir -m 777 /home/data && date +%s");
    const command = ["ExecStart=", "ExecStart=tlsboot up --data-dir /home/data"];
    await edit(root, "tlsboot.service", ...command);
    assert.notEqual((await root.attempt("systemctl restart tlsboot")).code, 0);
    assert.deepEqual(await show(root, "tlsboot", "ActiveState", "ExecMainStatus"), ["failed", "2"]);
    const [printed] = (await root.run(`journalctl --no-pager -o cat -u tlsboot --since=@${before}`))
      .match(/^tlsboot: error: [^]*?^tlsboot: hint: .*$/m) ?? [];
    assert.equal(
      printed,
      'tlsboot: error: --data-dir: tlsboot.service hides /home from its program (ProtectHome=), so it cannot use "/home/data"\n' +
        "tlsboot: hint: choose another path, such as one in /var/lib, or make it visible: run systemctl edit " +
        "tlsboot.service, and add ProtectHome=tmpfs and BindPaths=/home/data below [Service]",
    );
    await edit(root, "tlsboot.service", "ExecStart=", "ExecStart=tlsboot up --data-dir /srv/data");
    assert.notEqual((await root.attempt("systemctl restart tlsboot")).code, 0);
    assert.match(
      await root.run("journalctl --no-pager -o cat -u tlsboot -n 20"),
      /^tlsboot: hint: .* a systemd unit makes one writable with ReadWritePaths=$/m,
    );
    await root.run("chown tlsboot: /home/data && chmod 700 /home/data");
    await edit(root, "tlsboot.service", ...command, "ProtectHome=tmpfs", "BindPaths=/home/data");
    await startUnits(root, "tlsboot");
    await root.run("test -f /home/data/pki/ca.key");
    await edit(root, "tlsboot.service");
    await startUnits(root, "tlsboot");
  });

  test("signer and approver run as units, and a printed unit keeps a machine's certificate fresh", async () => {
    const url = await useServer(root);
    await root.run(`
    set -e
    cd /etc/tlsboot
    install -o tlsboot -g tlsboot -m 600 ${DATA}/admin.kubeconfig cluster.kubeconfig
    ca="clusterSigningCertFile: ${DATA}/pki/ca.crt\nclusterSigningKeyFile: ${DATA}/pki/ca.key\n"
    for role in signer approver; do
      printf 'apiVersion: tlsboot/v1alpha1\nkind: Config\nkubeconfig: cluster.kubeconfig\n' > $role-a.yaml
    done
    printf "$ca" >> signer-a.yaml
    install -m 600 ${DATA}/bootstrap.kubeconfig /etc/n1.bootstrap
    tlsboot bootstrap --bootstrap-kubeconfig /etc/n1.bootstrap --kubeconfig /etc/kubernetes/n1.conf \\
      --cert-dir /var/lib/n1/pki --hostname-override n1 --print-systemd-unit > /etc/systemd/system/n1.service
    systemctl daemon-reload
    systemctl start --no-block n1`);
    await startUnits(root, "tlsboot-signer@a", "tlsboot-approver@a");
    for (const role of ["signer", "approver"]) {
      await until(root, `[ "$(systemctl show -P StatusText tlsboot-${role}@a)" = 'working for ${url}' ]`);
    }
    await until(root, "systemctl show -P StatusText n1 | grep -q 'waiting for approval'");
    assert.deepEqual(await show(root, "n1", "ActiveState"), ["activating"]);
    await root.run(`tlsboot approve n1 --data-dir ${DATA}`);
    await until(root, "systemctl is-active --quiet n1");
    assert.match(await root.run("cat /etc/kubernetes/n1.conf"), /client-certificate/);
    const units = ["n1", "tlsboot-signer@a", "tlsboot-approver@a"];
    await root.run(`systemctl stop ${units.join(" ")}`);
    for (const unit of units) {
      assert.deepEqual(await show(root, unit, "ActiveState", "Result"), ["inactive", "success"], unit);
    }
    await root.run("rm /etc/tlsboot/*-a.yaml /etc/tlsboot/cluster.kubeconfig");
  });

  test("a printed unit keeps a web server's certificate fresh and notifies the server of each renewal", async () => {
    await root.run("cp /etc/tlsboot/up.yaml /run/up.yaml && echo 'webDomain: [home.lan]' >> /etc/tlsboot/up.yaml");
    await startUnits(root, "tlsboot");
    await root.run(`
    set -e
    printf '[Service]\nType=oneshot\nExecStart=/bin/sh -c "echo >> /run/notified"\n' > /etc/systemd/system/web.service
    tlsboot request web nas.home.lan --join ${DATA}/web.kubeconfig --out /srv/nas --duration 10m --renew-before 9m58s \\
      --exec 'systemctl start web' --print-systemd-unit > /etc/systemd/system/nas.service
    systemctl daemon-reload`);
    await startUnits(root, "nas");
    assert.match((await show(root, "nas", "StatusText")).join(), /^certificate of nas\.home\.lan valid until /);
    const notified = Number(await root.run("wc -l < /run/notified"));
    await until(root, `[ "$(wc -l < /run/notified)" -gt ${notified} ]`);
    await root.run(`openssl verify -CAfile ${DATA}/pki/ca.crt /srv/nas/tls.crt`);
    await root.run("systemctl stop nas");
    assert.deepEqual(await show(root, "nas", "ActiveState", "Result"), ["inactive", "success"]);
    await root.run("mv /run/up.yaml /etc/tlsboot/up.yaml");
    await startUnits(root, "tlsboot");
  });

  test("an upgrade restarts the running server and keeps settings and data", async () => {
    const before = await root.run(`sha256sum ${DATA}/pki/ca.crt; id tlsboot`);
    await root.run("echo 'auditLogPath: /var/lib/tlsboot/audit.log' >> /etc/tlsboot/up.yaml");
    const started = await show(root, "tlsboot", "MainPID");
    await root.run(`dpkg -i /tmp/share/${toFileName(2)}`);
    assert.equal(await root.run("dpkg-query -W -f '${Version}' tlsboot"), `${version}-2`);
    assert.equal(await root.run(`sha256sum ${DATA}/pki/ca.crt; id tlsboot`), before);
    assert.deepEqual(await show(root, "tlsboot", "ActiveState"), ["active"]);
    assert.notDeepEqual(await show(root, "tlsboot", "MainPID"), started);
    await useServer(root);
    assert.match(await root.run(`cat ${DATA}/audit.log`), /"verb":"list"/);
  });

  test("removal keeps the settings, and purging keeps only the user and the instance's data", async () => {
    await root.run("dpkg -r tlsboot");
    assert.equal((await root.attempt("pgrep -x tlsboot")).stdout, "", "no process is left");
    assert.equal((await root.attempt("command -v tlsboot")).stdout, "");
    assert.equal(await root.run("find /usr/lib/systemd /usr/share /usr/lib/sysusers.d -name '*tlsboot*'"), "");
    await root.run("test -f /etc/tlsboot/up.yaml");
    assert.match(await root.run("dpkg -P tlsboot"), /CA and data stay in \/var\/lib\/tlsboot/);
    await root.run(`test ! -e /etc/tlsboot && test -f ${DATA}/pki/ca.key`);
    assert.match(await root.run("getent passwd tlsboot"), /tlsboot/);
  });

  test("docs/guides/install.md: the file is checked and installed", async () => {
    await copyFile(join(ROOT, "dist", "SHA256SUMS"), folder.join("share", "SHA256SUMS"));
    await runBlock(0, "/media/stick", async (root) => {
      assert.equal(JSON.parse(await root.run("/usr/local/bin/tlsboot version -o json")).version, version);
      const { code, stdout } = await root.attempt(`
      cp /tmp/share/SHA256SUMS /tmp && head -c 1000000 /tmp/share/${PROGRAM} > /tmp/${PROGRAM}
      cd /tmp && sha256sum --check --ignore-missing SHA256SUMS`);
      assert.deepEqual({ code, stdout }, { code: 1, stdout: `${PROGRAM}: FAILED\n` });
    });
  });

  test("docs/guides/install.md: apt installs the package, and its service uses the edited settings", async () => {
    await runBlock(1, "/tmp/download", async (root) => {
      assert.equal(await root.run("systemctl is-enabled tlsboot"), "enabled\n");
      assert.match(await useServer(root), /^https:\/\/127\.0\.0\.2:/);
    });
  });

  test("docs/guides/install.md: on any other machine with systemd one command installs the service", async () => {
    await runBlock(2, "/tmp/download", async (root) => {
      assert.equal(await root.run("systemctl is-enabled tlsboot"), "enabled\n");
      await root.run("systemd-analyze verify --man=no tlsboot.service");
      await useServer(root);
      const packaged = await readFile(join(ROOT, "packaging", "systemd", "tlsboot.service"), "utf8");
      const unit = await root.run("cat /etc/systemd/system/tlsboot.service");
      assert.equal(
        unit.replace(/^# Written by .*\n/, "").replace("ExecStart=/usr/local/bin/tlsboot", "ExecStart=tlsboot"),
        packaged,
      );
      assert.match(await root.run("stat -c '%U %G %a' /etc/tlsboot/up.yaml"), /^root root 644\n$/);
    });
  });

  test("a second run applies changes, completes a partial installation, and reports which process uses the port", async () => {
    await using root = await createInstalledRoot("service");
    const install = (flags = "") => root.attempt(`tlsboot up --install-service --yes ${flags}`);
    const first = await install();
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /^tlsboot\.service is ready: serving https:\/\/127\.0\.0\.1:6443\n/);
    assert.match(first.stdout, /^ {2}sudo tlsboot get csr --data-dir \/var\/lib\/tlsboot$/m);
    assert.match(first.stdout, /^To undo this: sudo tlsboot up --uninstall-service\n$/m);
    const [pid] = await show(root, "tlsboot", "MainPID");

    const second = await install();
    assert.match(second.stderr, /^it is installed like this already, and runs: nothing is changed$/m);
    assert.deepEqual(await show(root, "tlsboot", "MainPID"), [pid]);

    const comment = "# of the administrator";
    await root.run(`echo '${comment}' >> /etc/tlsboot/up.yaml`);
    const moved = await install("--secure-port 7443");
    assert.deepEqual(
      [...moved.stderr.matchAll(/^ {2}(?:write|change) (.*)$/gm)].map(([, path]) => path),
      ["/etc/tlsboot/up.yaml"],
    );
    assert.match(await useServer(root), /:7443$/);
    assert.match(
      await root.run("cat /etc/tlsboot/up.yaml"),
      new RegExp(`^${comment}\nsecurePort: 7443|^securePort: 7443\n${comment}`, "m"),
    );

    await root.run("rm /etc/systemd/system/multi-user.target.wants/tlsboot.service && systemctl stop tlsboot");
    assert.equal((await install()).code, 0);
    assert.equal(await root.run("systemctl is-enabled tlsboot"), "enabled\n");

    await root.run("systemd-run --unit other tlsboot serve --data-dir /srv/other --secure-port 8443");
    await until(root, "curl --silent --insecure https://127.0.0.1:8443/readyz");
    const taken = await install("--secure-port 8443");
    assert.equal(taken.code, 1);
    const [other] = await show(root, "other", "MainPID");
    assert.match(taken.stderr, new RegExp(`the address is in use by tlsboot, process ${other}$`, "m"));

    // An inventory is read before anything is written.
    const unread = await install("--inventory /etc/none.yaml --auto-approve");
    assert.equal(unread.code, 2, unread.stdout);
    assert.match(unread.stderr, /none\.yaml/);
    await root.run("! grep none.yaml /etc/tlsboot/up.yaml");

    // An installation reports why the service does not start, and a run with other settings completes it.
    const failed = await install("--policy /etc/none.yaml");
    assert.equal(failed.code, 1, failed.stdout);
    assert.match(failed.stderr, /tlsboot\.service does not start: .*none\.yaml/);
    await root.run("sed -i '/none\\.yaml/d' /etc/tlsboot/up.yaml");
    assert.equal((await install()).code, 0);

    await root.run(`cp -a ${DATA}/pki/ca.crt /run/ca.crt`);
    const removed = await root.attempt("tlsboot up --uninstall-service --yes");
    assert.equal(removed.stdout, `tlsboot.service is removed. Its data stays in ${DATA}\n`);
    await root.run(`cmp ${DATA}/pki/ca.crt /run/ca.crt && getent passwd tlsboot`);
    await root.run("test ! -e /etc/tlsboot/up.yaml && test ! -e /etc/systemd/system/tlsboot.service");
    assert.notEqual((await root.attempt("systemctl cat tlsboot")).code, 0);

    await root.run("printf '[Unit]\\nDescription=mine\\n' > /etc/systemd/system/tlsboot.service");
    assert.match((await install()).stderr, /"\/etc\/systemd\/system\/tlsboot\.service" was not written by tlsboot/);
    await root.run(`rm /etc/systemd/system/tlsboot.service && dpkg -i /tmp/share/${toFileName(1)}`);
    assert.match(
      (await install()).stderr,
      /tlsboot\.service belongs to a package[^]*hint: change \/etc\/tlsboot\/up\.yaml/,
    );
  });

  test("one command installs the service of a machine or of a web server, and no unit contains the token", async () => {
    await using root = await createInstalledRoot("machine");
    const tlsboot = (line: string) => root.attempt(`tlsboot ${line}`);
    assert.equal((await tlsboot("up --install-service --yes --web-domain home.lan")).code, 0);
    const token = (await root.run(`tlsboot token create --data-dir ${DATA}`)).trim();
    const [hash] = (await root.run(`tlsboot ca show --data-dir ${DATA}`)).match(/sha256:[0-9a-f]{64}/) ?? [];
    const server = `--server https://127.0.0.1:6443 --token ${token} --ca-cert-hash ${hash}`;
    const paths = "--kubeconfig /etc/n1/kubeconfig --cert-dir /etc/n1/pki";
    const machine = `bootstrap ${server} ${paths} --hostname-override n1`;
    const waiting = await tlsboot(`${machine} --install-service --yes --timeout 0`);
    assert.equal(waiting.code, 3, waiting.stderr);
    assert.match(waiting.stdout, /^tlsboot-bootstrap\.service is installed, and continues by itself: /);
    assert.equal(await root.run("stat -c %a /etc/tlsboot/bootstrap.token"), "600\n");
    assert.equal((await root.attempt(`grep -r ${token} /etc/systemd/system`)).stdout, "");
    await until(root, `tlsboot approve n1 --data-dir ${DATA}`);
    const again = await tlsboot(`${machine} --install-service --yes`);
    assert.match(
      again.stdout,
      /^tlsboot-bootstrap\.service is ready: keeping the certificates of n1 fresh$/m,
      again.stderr,
    );
    const foreign = await tlsboot(`bootstrap ${server} ${paths} --hostname-override n2 --install-service --yes`);
    assert.match(
      foreign.stderr,
      /tlsboot-bootstrap\.service exists for something else: Certificates of Kubernetes node n1/,
    );
    const removed = await tlsboot("bootstrap --uninstall-service --yes");
    assert.match(
      removed.stdout,
      /^tlsboot-bootstrap\.service is removed\. Its data stays in \/etc\/n1\/pki \/etc\/n1\n$/,
    );
    await root.run("test ! -e /etc/tlsboot/bootstrap.token && test -f /etc/n1/kubeconfig");

    const web = await tlsboot(
      `request web nas.home.lan --join ${DATA}/web.kubeconfig --out /srv/nas --install-service --yes`,
    );
    assert.match(
      web.stdout,
      /^tlsboot-web-nas\.home\.lan\.service is ready: certificate of nas\.home\.lan valid until /,
    );
    assert.equal(await root.run("systemctl is-enabled tlsboot-web-nas.home.lan"), "enabled\n");
    await root.run("tlsboot request web nas.home.lan --uninstall-service --yes && test -f /srv/nas/tls.crt");
  });
});
