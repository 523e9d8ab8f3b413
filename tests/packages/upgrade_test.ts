/**
 * Upgrades from a stick: the released file verifies a second build, is replaced by it, and is restored if that does not
 * work.
 */
import assert from "node:assert/strict";
import { copyFile, cp, link, mkdir, readdir, readFile, rename, stat, truncate, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { runQuietly } from "../../scripts/processes.ts";
import { type Finished, ROOT, runProgram, succeedProgram } from "../support/child.ts";
import { createOtherRoot, type OtherRoot, untilLine } from "../support/packages/other_root.ts";
import { LATER_VERSION, makeSecondBuild, writeVariant } from "../support/packages/second_build.ts";
import { ensureDebianPackages } from "../support/peers/debian.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const PLATFORM = `linux-${process.arch}`;
const OTHER_PLATFORM = process.arch === "arm64" ? "linux-x64" : "linux-arm64";

let folder: TempFolder;
/** The released file, on the file system of the tests. */
let released: string;
let second: string;

/** Changes to a stick. Without them it has the second build under its own name, signed with the test key. */
interface Stick {
  readonly version?: string;
  readonly platform?: string;
  readonly program?: string;
  readonly key?: string;
}

let sticks = 0;
async function makeStick(
  { version = LATER_VERSION, platform = PLATFORM, program = second, key = "key" }: Stick = {},
): Promise<string> {
  const stick = folder.join(`stick-${sticks += 1}`);
  const name = `tlsboot-${version}-${platform}`;
  await mkdir(stick);
  await link(program, join(stick, name));
  const { stdout: sum } = await runProgram("sha256sum", [program]);
  const sums = join(stick, "SHA256SUMS");
  await writeFile(sums, `${sum.slice(0, 64)}  ${name}\n`);
  await runQuietly("minisign", ["-S", "-s", folder.join(key), "-m", sums, "-t", `tlsboot ${version}`]);
  return stick;
}

/** Installs the released file in a new folder and upgrades it. */
async function upgrade(stick: string, ...flags: readonly string[]): Promise<Finished & { readonly file: string }> {
  const place = folder.join(`installed-${sticks}`);
  await mkdir(place);
  const file = join(place, "tlsboot");
  await link(released, file);
  const done = await runProgram(file, ["upgrade", stick, "--release-key", folder.join("key.pub"), ...flags]);
  return { ...done, file };
}

async function readVersion(file: string): Promise<string> {
  return JSON.parse((await runProgram(file, ["version", "-o", "json"])).stdout).version;
}

/** A stick that must be refused, with the exit code and message. */
type Refused = readonly [what: string, make: () => Promise<string>, code: number, message: RegExp];

const copyDamaged = async (change: (program: string) => Promise<unknown>): Promise<string> => {
  const program = folder.join(`program-${sticks}`);
  await copyFile(second, program);
  await change(program);
  return program;
};

const REFUSED: readonly Refused[] = [
  [
    "a file that was changed",
    async () => {
      const stick = await makeStick({ program: await copyDamaged(() => Promise.resolve()) });
      await truncate(join(stick, `tlsboot-${LATER_VERSION}-${PLATFORM}`), 1000);
      return stick;
    },
    3,
    /^not upgraded: ".*" is not the file that was signed: copy it again$/m,
  ],
  [
    "a list with another checksum",
    async () => {
      const stick = await makeStick();
      await writeFile(join(stick, "SHA256SUMS"), `${"0".repeat(64)}  tlsboot-${LATER_VERSION}-${PLATFORM}\n`);
      return stick;
    },
    3,
    /^not upgraded: .*SHA256SUMS: the signature does not match the file$/m,
  ],
  [
    "the signature of another key",
    () => makeStick({ key: "other" }),
    3,
    /^not upgraded: .*the signature is by the key/m,
  ],
  [
    "a release for other machines",
    () => makeStick({ platform: OTHER_PLATFORM }),
    3,
    new RegExp(`^not upgraded: .* has no file for ${PLATFORM}, only tlsboot-${LATER_VERSION}-${OTHER_PLATFORM}$`, "m"),
  ],
  [
    "an older release",
    () => makeStick({ version: "0.0.9" }),
    3,
    /^not upgraded: tlsboot 0\.0\.9 is older than this file/m,
  ],
  [
    "a file under the name of another version",
    () => makeStick({ version: "9.1.1" }),
    3,
    /^not upgraded: ".*" says that it is tlsboot 9\.1\.0$/m,
  ],
  [
    "a file that is not on the stick",
    async () => {
      const stick = await makeStick();
      await runQuietly("rm", [join(stick, `tlsboot-${LATER_VERSION}-${PLATFORM}`)]);
      return stick;
    },
    1,
    /error: cannot read ".*": ENOENT/,
  ],
  [
    "a file that was cut off before it was signed",
    async () => makeStick({ program: await copyDamaged((path) => truncate(path, 50_000_000)) }),
    1,
    /error: the new file does not start: /,
  ],
  [
    "a file for another processor under the name for this one",
    async () => {
      const program = await copyDamaged(async (path) => {
        const bytes = await readFile(path);
        // ELF's `e_machine`: SPARC.
        bytes.writeUInt16LE(2, 18);
        await writeFile(path, bytes);
      });
      return await makeStick({ program });
    },
    3,
    /^not upgraded: ".*" is not a program for linux-/m,
  ],
  [
    "a release that raises the format of data",
    async () => {
      await writeVariant(second, "formatIsRaised", folder.join("raised"));
      return await makeStick({ program: folder.join("raised") });
    },
    3,
    /^not upgraded: 9\.1\.0 raises the format of data \(dataDir from 1 to 2\): only a backup lets you go back$/m,
  ],
];

/** Checks that the service answers, and returns the version that it runs. */
async function readService(root: OtherRoot): Promise<string> {
  await root.run("systemctl is-active tlsboot && tlsboot get csr --data-dir /var/lib/tlsboot");
  const facts = await root.run('"/proc/$(systemctl show -P MainPID tlsboot)/exe" version -o json');
  return JSON.parse(facts).version;
}

describe("upgrades from a stick", () => {
  before(async () => {
    folder = await createTempFolder();
    await ensureDebianPackages(["minisign"]);
    released = folder.join("released");
    await copyFile(join(ROOT, "dist", `tlsboot-${TLSBOOT_VERSION}-${PLATFORM}`), released);
    for (const name of ["key", "other"]) {
      await runQuietly("minisign", ["-G", "-W", "-p", folder.join(`${name}.pub`), "-s", folder.join(name)]);
    }
    await mkdir(folder.join("build"));
    const [, key = ""] = (await readFile(folder.join("key.pub"), "utf8")).split("\n");
    second = await makeSecondBuild(folder.join("build"), key);
  });
  after(() => folder[Symbol.asyncDispose]());

  test("a signed release that starts replaces the file, and the old file is kept next to it", async () => {
    const stick = await makeStick();
    const { code, stdout, stderr, file } = await upgrade(stick);
    assert.equal(code, 0, stderr);
    const previous = `${file}.previous`;
    assert.equal(
      stdout,
      `"${file}" is tlsboot ${LATER_VERSION} now; ${TLSBOOT_VERSION} is kept as "${previous}"; ` +
        "no service runs it: restart it yourself\n",
    );
    assert.deepEqual([await readVersion(file), await readVersion(previous)], [LATER_VERSION, TLSBOOT_VERSION]);
    assert.equal((await stat(file)).mode, (await stat(released)).mode);
    assert.deepEqual((await readdir(join(file, ".."))).sort(), ["tlsboot", "tlsboot.previous"]);
    // The new file carries the key of the release.
    await succeedProgram(file, ["version", "--verify", "--release", stick]);
    const again = await runProgram(file, ["upgrade", stick]);
    assert.deepEqual([again.code, again.stdout], [
      0,
      `"${file}" is already tlsboot ${LATER_VERSION} of this release\n`,
    ]);
  });

  for (const [what, make, code, message] of REFUSED) {
    test(`${what} is refused, and nothing is changed`, async () => {
      const done = await upgrade(await make());
      assert.equal(done.code, code, done.stdout + done.stderr);
      assert.match(done.stdout + done.stderr, message);
      assert.deepEqual(await readdir(join(done.file, "..")), [basename(done.file)]);
      assert.equal((await stat(done.file)).ino, (await stat(released)).ino);
    });
  }

  test("--dry-run checks everything and changes nothing", async () => {
    const { code, stdout, stderr, file } = await upgrade(await makeStick(), "--dry-run");
    assert.equal(code, 0, stderr);
    assert.equal(stdout, `would replace "${file}" (${TLSBOOT_VERSION}) with ${LATER_VERSION}: no service runs it\n`);
    assert.deepEqual(await readdir(join(file, "..")), ["tlsboot"]);
  });

  test("an upgrade on a full disk changes nothing", async () => {
    const stick = await makeStick();
    const mount = folder.join("small");
    await mkdir(mount);
    const { size } = await stat(released);
    const lines = `set -e
    mount -t tmpfs -o size=${size + 30_000_000} small ${mount}
    cp ${released} ${mount}/tlsboot
    set +e
    ${mount}/tlsboot upgrade ${stick} --release-key ${folder.join("key.pub")}
    echo "code $?"
    ls -A ${mount}
    cmp ${released} ${mount}/tlsboot && echo same`;
    const { stdout, stderr } = await runProgram("unshare", ["--mount", "sh", "-c", lines]);
    assert.match(stderr, /error: cannot write ".*tlsboot\.new": no space left on device/);
    assert.equal(stdout, "code 1\ntlsboot\nsame\n");
  });

  test("neither the sources nor files of packages are upgraded", async () => {
    const stick = await makeStick();
    const sources = await runProgram(process.execPath, [
      ...["run", "-A", "--no-check", "--quiet", join(ROOT, "cli", "main.ts")],
      ...["upgrade", stick, "--release-key", folder.join("key.pub")],
    ]);
    assert.equal(sources.code, 1);
    assert.match(sources.stderr, /cannot upgrade ".*": it is the runtime of the sources or of the npm package/);
    const lines = `mount --bind ${released} /usr/bin/env && /usr/bin/env upgrade ${stick} --release-key ${
      folder.join("key.pub")
    }`;
    const packaged = await runProgram("unshare", ["--mount", "sh", "-c", lines]);
    assert.equal(packaged.code, 1);
    assert.match(packaged.stderr, /cannot upgrade "\/usr\/bin\/env": files in \/usr\/bin belong to packages/);
  });

  test("under systemd the service is restarted, and returns to the earlier file if the new one does not work", async () => {
    await mkdir(folder.join("share"));
    await mkdir(folder.join("mount"));
    const stick = async (name: string, program: string): Promise<void> => {
      await rename(await makeStick({ program }), folder.join("share", name));
    };
    const [failing, both] = [folder.join("failing"), folder.join("both")];
    await writeVariant(second, "serverFails", failing);
    await writeVariant(failing, "formatIsRaised", both);
    await stick("failing", failing);
    await stick("one-way", both);
    await stick("good", second);
    await link(released, folder.join("share", "tlsboot"));
    await copyFile(folder.join("key.pub"), folder.join("share", "key.pub"));
    await cp(join(ROOT, "packaging", "systemd"), folder.join("share", "systemd"), { recursive: true });
    await using root = await createOtherRoot(folder.join("mount"), folder.join("share"));
    await root.run(`set -e
    install -m 755 /tmp/share/tlsboot /usr/local/bin/tlsboot
    install -D -m 644 /tmp/share/systemd/sysusers.conf /etc/sysusers.d/tlsboot.conf
    systemd-sysusers tlsboot.conf
    install -D -m 644 /tmp/share/systemd/up.yaml /etc/tlsboot/up.yaml
    cp /tmp/share/systemd/tlsboot.service /etc/systemd/system/
    systemctl daemon-reload
    systemctl start tlsboot
    ${untilLine("tlsboot get csr --data-dir /var/lib/tlsboot")}`);
    const upgradeTo = (name: string, flags = ""): Promise<Finished> =>
      root.attempt(`tlsboot upgrade /tmp/share/${name} --release-key /tmp/share/key.pub ${flags}`);

    const failed = await upgradeTo("failing");
    assert.equal(failed.code, 1, failed.stdout);
    assert.match(
      failed.stderr,
      new RegExp(
        `cannot upgrade to tlsboot ${LATER_VERSION}: [^]*; ${TLSBOOT_VERSION} runs again\n.*journalctl --unit`,
      ),
    );
    assert.equal(await readService(root), TLSBOOT_VERSION);
    assert.equal(await root.run("ls /usr/local/bin | grep tlsboot"), "tlsboot\n");

    const done = await upgradeTo("good");
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stderr, /^installed; restarting tlsboot\.service$/m);
    assert.equal(await readService(root), LATER_VERSION);

    await root.run("install -m 755 /tmp/share/tlsboot /usr/local/bin/tlsboot && systemctl restart tlsboot");
    // A release that raises the data format is installed with --one-way, and then stays even if it does not work.
    const stuck = await upgradeTo("one-way", "--one-way");
    assert.equal(stuck.code, 1, stuck.stdout);
    assert.match(stuck.stderr, /it is left in place, because ".*\.previous" cannot read its data/);
    assert.equal(JSON.parse(await root.run("tlsboot version -o json")).version, LATER_VERSION);
  });
});
