/** A release on a stick, signed with a test key and checked by minisign, verify.sh and the released file. */
import assert from "node:assert/strict";
import { appendFile, copyFile, cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import process from "node:process";
import { after, before, beforeEach, describe, test } from "node:test";
import { RELEASE_KEY } from "../../cli/release_key.ts";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { runQuietly } from "../../scripts/processes.ts";
import { type Finished, ROOT, runProgram, succeedProgram } from "../support/child.ts";
import { ensureDebianPackages } from "../support/peers/debian.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const PROGRAM = `tlsboot-${TLSBOOT_VERSION}-linux-${process.arch}`;
const SIGNED = [
  "SHA256SUMS",
  "SHA256SUMS.minisig",
  "verify.sh",
  "LICENSES.txt",
  `tlsboot-${TLSBOOT_VERSION}.cdx.json`,
];

let folder: TempFolder;
let stick: string;
let publicKey: string;
/** The result of signing before the key was adopted. */
let keyless: Finished;

/** Runs `deno task sign` in a copy of the checkout, whose release key is that of the test. */
async function sign(...flags: readonly string[]): Promise<Finished> {
  const args = ["--dist", folder.join("dist"), "--key", folder.join("key"), ...flags];
  return await runProgram(process.execPath, ["run", "-A", "--no-check", "scripts/package/sign.ts", ...args], {
    cwd: folder.join("checkout"),
  });
}

let sticks = 0;

function runVerifyScript(): Promise<Finished> {
  return runProgram("sh", [join(stick, "verify.sh"), publicKey]);
}

/** Lets the file on the stick verify itself. */
function verifyOwnFile(): Promise<Finished> {
  return runProgram(join(stick, PROGRAM), ["version", "--verify", "--release-key", folder.join("key.pub")]);
}

describe("a signed release", () => {
  before(async () => {
    folder = await createTempFolder();
    await ensureDebianPackages(["minisign"]);
    await mkdir(folder.join("dist"));
    await copyFile(join(ROOT, "dist", PROGRAM), folder.join("dist", PROGRAM));
    await runQuietly("minisign", ["-G", "-W", "-p", folder.join("key.pub"), "-s", folder.join("key")]);
    publicKey = (await readFile(folder.join("key.pub"), "utf8")).split("\n")[1]!;
    await mkdir(folder.join("checkout"));
    for (
      const name of [
        "README.md",
        "SECURITY.md",
        "deno.json",
        "deno.lock",
        "cli",
        "client",
        "controllers",
        "core",
        "instance",
        "packaging",
        "scripts",
        "server",
      ]
    ) {
      await cp(join(ROOT, name), join(folder.join("checkout"), name), {
        recursive: true,
        filter: (path) => basename(path) !== "node_modules",
      });
    }
    await symlink(join(ROOT, "node_modules"), join(folder.join("checkout"), "node_modules"));
    keyless = await sign();
    await sign("--adopt");
    const done = await sign();
    assert.equal(done.code, 0, done.stderr);
  });
  after(() => folder[Symbol.asyncDispose]());
  beforeEach(async () => {
    stick = folder.join(`stick-${sticks += 1}`);
    await mkdir(stick);
    for (const name of [...SIGNED, PROGRAM]) await copyFile(folder.join("dist", name), join(stick, name));
  });

  test("nothing is signed without a release key, and an adopted key is in the sources and in the README", async () => {
    assert.equal(keyless.code, 1);
    assert.match(
      keyless.stderr,
      /cli\/release_key.ts has no key: make one with minisign -G, and adopt it with deno task sign --adopt\n$/,
    );
    const has = async (name: string) =>
      (await readFile(join(folder.join("checkout"), name), "utf8")).includes(publicKey);
    assert.deepEqual([await has("cli/release_key.ts"), await has("README.md")], [true, true]);
  });

  test("SHA256SUMS lists everything on the stick but itself and its signature", async () => {
    const sums = await readFile(join(stick, "SHA256SUMS"), "utf8");
    assert.deepEqual(
      sums.trim().split("\n").map((line) => line.slice(66)),
      ["LICENSES.txt", PROGRAM, `tlsboot-${TLSBOOT_VERSION}.cdx.json`, "verify.sh"],
    );
  });

  test("verify.sh and the program accept a signed file", async () => {
    const script = await runVerifyScript();
    assert.equal(script.code, 0, script.stderr);
    assert.match(script.stdout, /Signature and comment signature verified/);
    assert.match(script.stdout, new RegExp(`^${PROGRAM}: OK$`, "m"));
    const own = await verifyOwnFile();
    assert.equal(own.code, 0, own.stderr);
    assert.match(own.stdout, new RegExp(` is ${PROGRAM} of tlsboot ${TLSBOOT_VERSION}, signed by [0-9A-F]{16}\n$`));
  });

  test("an installed file with another name is verified against a stick", async () => {
    await copyFile(join(stick, PROGRAM), folder.join("tlsboot"));
    const args = ["version", "--verify", "--release", stick, "--release-key", folder.join("key.pub")];
    const { stdout } = await succeedProgram(folder.join("tlsboot"), args);
    assert.match(stdout, new RegExp(`/tlsboot is ${PROGRAM} of `));
  });

  test("verify.sh and the program refuse a file that was changed", async () => {
    await appendFile(join(stick, PROGRAM), "x");
    const script = await runVerifyScript();
    assert.notEqual(script.code, 0);
    assert.match(script.stdout, new RegExp(`^${PROGRAM}: FAILED$`, "m"));
    const own = await verifyOwnFile();
    assert.equal(own.code, 3, own.stderr);
    assert.match(own.stdout, /^not verified: .* is not a file of tlsboot /);
  });

  test("verify.sh and the program refuse a list that was changed to match a changed file", async () => {
    await appendFile(join(stick, PROGRAM), "x");
    const { stdout } = await runProgram("sha256sum", [PROGRAM], { cwd: stick });
    await writeFile(join(stick, "SHA256SUMS"), stdout);
    const script = await runVerifyScript();
    assert.notEqual(script.code, 0);
    assert.match(script.stderr, /Signature verification failed/);
    const own = await verifyOwnFile();
    assert.equal(own.code, 3, own.stderr);
    assert.match(own.stdout, /^not verified: .*the signature does not match the file/);
  });

  test("the program reports a missing list and a missing key", async () => {
    const args = ["version", "--verify", "--release", folder.path, "--release-key", folder.join("key.pub")];
    const noList = await runProgram(join(stick, PROGRAM), args);
    assert.equal(noList.code, 1);
    assert.match(noList.stderr, /cannot read ".*SHA256SUMS": no such file/);
    const noKey = await runProgram(join(stick, PROGRAM), ["version", "--verify"]);
    if (RELEASE_KEY !== undefined) return assert.match(noKey.stdout, /^not verified: .*the signature is by the key/);
    assert.equal(noKey.code, 2);
    assert.match(noKey.stderr, /there is no release key in this build/);
  });
});
