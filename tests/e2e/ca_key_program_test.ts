/** A CA whose key a program holds: created, imported, and used for signing. */
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { test } from "node:test";
import { encodeTrust } from "../../core/pki/authority_chain.ts";
import { runTlsboot } from "../support/child.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { writeKeyProgram } from "../support/key_program.ts";
import { createIntermediateCa, createSigningCa } from "../support/signing_ca.ts";
import { connectWith, startInstance } from "../support/instance_process.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { type CapturedRun, runCaptured } from "../support/run_captured.ts";

const quiet = new AbortController().signal;
const BOOTSTRAP = ["bootstrap", "--bootstrap-kubeconfig", "data/bootstrap.kubeconfig", "--hostname-override", "n1"];
const NODE = ["--kubeconfig", "n1/kubeconfig", "--cert-dir", "n1/pki"];

function tlsboot(folder: TempFolder, ...argv: readonly string[]): Promise<CapturedRun> {
  return runCaptured(argv, {
    cwd: folder.path,
    env: { HOME: homedir() },
    clock: createFakeClock("2026-06-01T00:00:00Z"),
  });
}

test("ca init and up with --signing-key-command use a CA whose key is in no file", async () => {
  await using folder = await createTempFolder();
  const program = await writeKeyProgram(folder, (await createSigningCa()).keyPem);
  const command = ["--signing-key-command", program];
  const made = await runTlsboot(["ca", "init", "--data-dir", "data", ...command], { cwd: folder.path });
  assert.deepEqual({ code: made.code, stdout: made.stdout }, { code: 0, stdout: "certificate: data/pki/ca.crt\n" });
  await using instance = await startInstance(folder, ["--auto-approve", ...command]);
  const bootstrapped = await runTlsboot([...BOOTSTRAP, ...NODE], { cwd: folder.path });
  assert.equal(bootstrapped.code, 0, bootstrapped.stderr);
  for (const kubeconfig of [folder.join("n1/kubeconfig"), `${instance.data}/admin.kubeconfig`]) {
    await using connected = await connectWith(kubeconfig);
    assert.equal(await connected.api.requestText({ method: "GET", path: "/healthz" }, quiet), "ok");
  }
  const files = await readdir(`${instance.data}/pki`);
  assert.deepEqual(files.sort(), ["apiserver.crt", "apiserver.key", "ca.crl", "ca.crt", "sa.key", "sa.pub"]);
  const runs = new Set((await readFile(folder.join("runs"), "utf8")).trim().split("\n"));
  assert.deepEqual([...runs].sort(), [`public-key ${instance.data}/pki/ca.crt`, `sign ${instance.data}/pki/ca.crt`]);
});

test("ca init --import-cert imports a chain whose key a program holds, and refuses one of another key", async () => {
  await using folder = await createTempFolder();
  const root = await createSigningCa({ commonName: "root" });
  const intermediate = await createIntermediateCa(root);
  await writeFile(folder.join("chain.pem"), encodeTrust(intermediate));
  await writeFile(folder.join("root.pem"), root.certificatePem);
  const program = await writeKeyProgram(folder, intermediate.keyPem);
  const init = ["ca", "init", "--signing-key-command", program, "--import-cert"];
  const wrong = await tlsboot(folder, ...init, "root.pem");
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /private key does not match public key/);
  const both = await tlsboot(folder, ...init, "chain.pem", "--import-key", "held.key");
  assert.equal(both.code, 2);
  assert.match(both.stderr, /--import-key and --signing-key-command both name the key/);
  const taken = await tlsboot(folder, ...init, "chain.pem");
  assert.equal(taken.code, 0, taken.stderr);
  assert.equal(taken.stdout, "certificate: tlsboot-data/pki/ca.crt\nsubject: CN=intermediate\nissued by: CN=root\n");
  assert.equal((await tlsboot(folder, "kubeconfig", "admin")).code, 1);
  assert.equal((await tlsboot(folder, "kubeconfig", "admin", "--signing-key-command", program)).code, 0);
});

test("ca init refuses --encrypt-key beside --signing-key-command", async () => {
  await using folder = await createTempFolder();
  const { code, stderr } = await tlsboot(folder, "ca", "init", "--encrypt-key", "--signing-key-command", "hsm");
  assert.equal(code, 2);
  assert.match(stderr, /--encrypt-key is for a key file/);
});

test("the signer accepts a certificate without a key file when a program holds the key, and reports the program's errors", async () => {
  await using folder = await createTempFolder();
  const ca = await createSigningCa();
  await writeFile(folder.join("ca.crt"), ca.certificatePem);
  const signer = ["signer", "--kubeconfig", "none", "--cluster-signing-cert-file", "ca.crt"];
  assert.equal((await tlsboot(folder, ...signer)).code, 2);
  const missing = await tlsboot(folder, ...signer, "--signing-key-command", "hsm");
  assert.equal(missing.code, 1);
  assert.match(
    missing.stderr,
    /cannot use the CA key of ".*\/hsm public-key": there is no such program\ntlsboot: hint: run/,
  );
  const honest = await writeKeyProgram(folder, ca.keyPem);
  assert.match((await tlsboot(folder, ...signer, "--signing-key-command", honest)).stderr, /cannot read kubeconfig/);
  const broken = await writeKeyProgram(folder, ca.keyPem, "exits with 3 when it signs");
  const refused = await tlsboot(folder, ...signer, "--signing-key-command", broken);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /sign ECDSA-SHA256": it ended with exit code 3: the token is not there/);
  const other = await writeKeyProgram(folder, (await createSigningCa()).keyPem);
  const foreign = await tlsboot(folder, ...signer, "--signing-key-command", other);
  assert.equal(foreign.code, 1);
  assert.match(foreign.stderr, /error reading CA cert file ".*ca\.crt": tls: private key does not match public key/);
});
