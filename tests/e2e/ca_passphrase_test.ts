/** Tests encrypted CA keys: passphrases from a file, from stdin or typed, and missing or wrong ones. */
import assert from "node:assert/strict";
import { chmod, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { encryptPrivateKey } from "../../core/pki/keys/encrypted_key.ts";
import { parsePrivateKey } from "../../core/pki/keys/keys.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { runTlsboot } from "../support/child.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { createSigningCa } from "../support/signing_ca.ts";
import { connectWith, startInstance } from "../support/instance_process.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { createRunner, expecting, type Runner } from "../support/run_captured.ts";

const signal = new AbortController().signal;
const PASSPHRASE = "correct horse battery";
const FILE = "--ca-passphrase-file pass";

async function createPassphraseFolder(text = `${PASSPHRASE}\n`): Promise<TempFolder> {
  const folder = await createTempFolder();
  await writeFile(folder.join("pass"), text, { mode: 0o600 });
  return folder;
}

function createCheckedRunner(cwd: string): Runner {
  const run = createRunner(cwd, { clock: createFakeClock("2026-06-01T00:00:00Z") });
  const check = async (...line: Parameters<Runner>) => {
    const ran = await run(...line);
    assert.ok(!`${ran.stdout}${ran.stderr}`.includes(PASSPHRASE), "the passphrase was printed");
    return ran;
  };
  return Object.assign(check, expecting(check));
}

const readCaKey = (folder: TempFolder) => readFile(folder.join("tlsboot-data/pki/ca.key"), "utf8");

test("tlsboot ca init with --ca-passphrase-file encrypts the key, and commands that open it need the file", async () => {
  await using folder = await createPassphraseFolder();
  const tlsboot = createCheckedRunner(folder.path);
  assert.equal((await tlsboot(`ca init ${FILE}`)).code, 0);
  assert.match(await readCaKey(folder), /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
  assert.match((await tlsboot("ca show")).stdout, /Private key: +tlsboot-data\/pki\/ca\.key, under a passphrase\n/);
  assert.equal(JSON.parse((await tlsboot("ca show -o json")).stdout).isKeyEncrypted, true);

  assert.match(
    await tlsboot.refuse(1, "kubeconfig admin"),
    /cannot open the key ".*ca\.key": there is no passphrase\ntlsboot: hint: give a file that contains it, or one for each of its shares, with --ca-passphrase-file, or run the command on a terminal\n/,
  );
  await writeFile(folder.join("other"), "wrong\n", { mode: 0o600 });
  assert.match(
    await tlsboot.refuse(1, "kubeconfig admin --ca-passphrase-file other"),
    /cannot open the key ".*ca\.key": the passphrase does not fit\ntlsboot: hint: give the/,
  );
  assert.equal((await tlsboot(`kubeconfig admin ${FILE}`)).code, 0);
});

test("a passphrase is read from stdin with --ca-passphrase-file -", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createCheckedRunner(folder.path);
  const stdin = `${PASSPHRASE}\n`;
  assert.equal((await tlsboot("ca init --ca-passphrase-file -", { stdin })).code, 0);
  assert.equal((await tlsboot("kubeconfig admin --ca-passphrase-file -", { stdin })).code, 0);
  assert.equal((await tlsboot("kubeconfig admin --force --ca-passphrase-file -", { stdin: "" })).code, 1);
});

test("a passphrase is prompted for on a terminal, twice for a new key", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createCheckedRunner(folder.path);
  const typed = (stdin: string) => ({ isTerminal: true, stdin });
  assert.match(
    await tlsboot.refuse(1, "ca init --encrypt-key", typed(`${PASSPHRASE}\nother\n`)),
    /the two passphrases are not the same/,
  );
  assert.deepEqual(await listPki(folder), []);
  const made = await tlsboot.succeed("ca init --encrypt-key", typed(`${PASSPHRASE}\n${PASSPHRASE}\n`));
  assert.match(made.stderr, /^Passphrase of the new key: \nThe same again: \n/);
  const admin = await tlsboot.succeed("kubeconfig admin", typed(`${PASSPHRASE}\n`));
  assert.match(admin.stderr, /^Passphrase of tlsboot-data\/pki\/ca\.key: \n⠋ deriving the key from the passphrase/);
  assert.ok(admin.stderr.endsWith("\r\x1b[2K"), admin.stderr);
  assert.match(
    await tlsboot.refuse(1, "kubeconfig admin --force", typed("")),
    /cannot use the passphrase from the terminal: it is empty/,
  );
  assert.match(
    await tlsboot.refuse(1, "kubeconfig admin --force", typed("\n")),
    /cannot combine the shares: there is no share/,
  );
  assert.match(
    await tlsboot.refuse(1, "ca init --encrypt-key --data-dir other"),
    /cannot encrypt the key ".*": there is no passphrase/,
  );
});

test("an empty --ca-passphrase-file is refused, and no key is created without a passphrase", async () => {
  await using folder = await createPassphraseFolder();
  const { code, stderr } = await createCheckedRunner(folder.path)("ca init --ca-passphrase-file=");
  assert.equal(code, 2);
  assert.match(stderr, /error: --ca-passphrase-file: "" found, want the path of a file, or - for stdin\n/);
  assert.deepEqual(await listPki(folder), []);
});

async function listPki(folder: TempFolder): Promise<readonly string[]> {
  return await readdir(folder.join("tlsboot-data/pki")).catch(() => []);
}

for (
  const { name, prepare, want } of [
    {
      name: "readable by others",
      prepare: (folder: TempFolder) => chmod(folder.join("pass"), 0o640),
      want: /cannot use ".*pass": others may read it \(mode 640\)\ntlsboot: hint: chmod 600/,
    },
    {
      name: "empty",
      prepare: (folder: TempFolder) => writeFile(folder.join("pass"), "\n"),
      want: /cannot use the passphrase from "pass": it is empty\ntlsboot: hint: give one line/,
    },
    {
      name: "of several lines",
      prepare: (folder: TempFolder) => writeFile(folder.join("pass"), "a\nb\n"),
      want: /it has more than one line/,
    },
    {
      name: "too long",
      prepare: (folder: TempFolder) => writeFile(folder.join("pass"), "x".repeat(5000)),
      want: /it has more than 1024 characters/,
    },
    {
      name: "missing",
      prepare: (folder: TempFolder) => rm(folder.join("pass")),
      want: /cannot read passphrase file "pass": file does not exist\ntlsboot: hint: check the path of --ca/,
    },
  ]
) {
  test(`a passphrase file that is ${name} is refused, and no key is created`, async () => {
    await using folder = await createPassphraseFolder();
    await prepare(folder);
    const { code, stderr } = await createCheckedRunner(folder.path)(`ca init ${FILE}`);
    assert.equal(code, 1);
    assert.match(stderr, want);
    assert.equal((await listPki(folder)).length, 0);
  });
}

test("tlsboot ca import keeps an encrypted key as it is, and encrypts a plain one on request", async () => {
  await using folder = await createPassphraseFolder();
  const tlsboot = createCheckedRunner(folder.path);
  const ca = await createSigningCa();
  const key = parsePrivateKey(ca.keyPem);
  assert.ok(key.ok);
  const encrypted = await encryptPrivateKey(key.value, PASSPHRASE, createSeededRandom(), 1_000);
  await writeFile(folder.join("ca.crt"), ca.certificatePem);
  await writeFile(folder.join("plain.key"), ca.keyPem, { mode: 0o600 });
  await writeFile(folder.join("encrypted.key"), encrypted, { mode: 0o600 });
  const take = (key: string, dir: string) => `ca import --ca-cert ca.crt --ca-key ${key} --data-dir ${dir}`;
  assert.match(
    await tlsboot.refuse(1, take("encrypted.key", "a")),
    /cannot open the key ".*encrypted\.key": there is no passphrase/,
  );
  assert.equal((await tlsboot(`${take("encrypted.key", "a")} ${FILE}`)).code, 0);
  assert.equal(await readFile(folder.join("a/pki/ca.key"), "utf8"), encrypted);
  assert.equal((await tlsboot(`${take("plain.key", "b")} ${FILE}`)).code, 0);
  assert.match(await readFile(folder.join("b/pki/ca.key"), "utf8"), /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
  assert.equal((await tlsboot(`kubeconfig admin --data-dir b ${FILE}`)).code, 0);
});

test("tlsboot ca import encrypts the plain key that tlsboot ca request made, and replaces no other key", async () => {
  await using folder = await createPassphraseFolder();
  const tlsboot = createCheckedRunner(folder.path);
  await tlsboot.succeed("ca init --data-dir root");
  await tlsboot.succeed("ca request --data-dir server --out ca.csr");
  await tlsboot.succeed("ca sign ca.csr --data-dir root --out ca.crt");
  const plain = await readFile(folder.join("server/pki/ca.key"), "utf8");
  await writeFile(folder.join("copy.key"), `${plain}\n`, { mode: 0o600 });
  const take = `ca import --ca-cert ca.crt --data-dir server ${FILE}`;
  assert.match(await tlsboot.refuse(1, `${take} --ca-key copy.key`), /cannot create ".*ca\.key": it exists/);
  assert.equal(await readFile(folder.join("server/pki/ca.key"), "utf8"), plain);
  await tlsboot.succeed(take);
  assert.match(await readFile(folder.join("server/pki/ca.key"), "utf8"), /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
  await tlsboot.succeed(`kubeconfig admin --data-dir server ${FILE}`);
  assert.match(
    await tlsboot.refuse(1, "ca import --ca-cert ca.crt --data-dir other"),
    /ca\.key": file does not exist\n.*hint: .*make one with: tlsboot ca request --out FILE\n/,
  );
});

test("up creates an encrypted CA with --ca-passphrase-file, signs with it, and never logs the passphrase", async () => {
  await using folder = await createPassphraseFolder();
  const args = ["--auto-approve", "--ca-passphrase-file", "pass"];
  {
    await using instance = await startInstance(folder, args);
    assert.match(await readFile(`${instance.data}/pki/ca.key`, "utf8"), /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
    const bootstrap = ["bootstrap", "--bootstrap-kubeconfig", "data/bootstrap.kubeconfig", "--hostname-override", "n1"];
    const node = ["--kubeconfig", "n1/kubeconfig", "--cert-dir", "n1/pki"];
    const bootstrapped = await runTlsboot([...bootstrap, ...node], { cwd: folder.path });
    assert.equal(bootstrapped.code, 0, bootstrapped.stderr);
    await using connected = await connectWith(folder.join("n1/kubeconfig"));
    assert.equal(await connected.api.requestText({ method: "GET", path: "/healthz" }, signal), "ok");
    const { stdout, stderr } = await instance.end("SIGTERM");
    assert.ok(!`${stdout}${stderr}`.includes(PASSPHRASE));
  }
  for (const command of ["up", "serve"]) {
    const refused = await runTlsboot([command, "--data-dir", "data", "--secure-port", "0"], { cwd: folder.path });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /cannot open the key ".*ca\.key": there is no passphrase\ntlsboot: hint: /);
  }
  await using again = await startInstance(folder, args);
  assert.match(again.url, /^https:/);
});

test("the signer opens an encrypted key, and refuses to start without the passphrase", async () => {
  await using folder = await createPassphraseFolder();
  const tlsboot = createCheckedRunner(folder.path);
  assert.equal((await tlsboot(`ca init ${FILE}`)).code, 0);
  const pki = "tlsboot-data/pki";
  const line =
    `signer --kubeconfig none --cluster-signing-cert-file ${pki}/ca.crt --cluster-signing-key-file ${pki}/ca.key`;
  assert.match(await tlsboot.refuse(1, line), /there is no passphrase/);
  const opened = await tlsboot(`${line} ${FILE}`);
  assert.match(opened.stderr, /cannot read kubeconfig/);
});
