/** Tests a CA whose key is held by a program: created, imported, and used for signing. */
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { encodeTrust } from "../../core/pki/x509/ca_bundle.ts";
import { writeKeyProgram } from "../support/key_program.ts";
import { createIntermediateCa, createSigningCa } from "../support/signing_ca.ts";
import { bootstrapLine, connectWith, createWorkplace, startInstance } from "../support/instance_process.ts";

const signal = new AbortController().signal;

test("ca init and up with --signing-key-command use a CA whose key is in no file", async () => {
  await using folder = await createWorkplace();
  const program = await writeKeyProgram(folder, (await createSigningCa()).keyPem);
  const command = ["--signing-key-command", program];
  const made = await folder.tlsboot("ca", "init", ...command);
  assert.deepEqual({ code: made.code, stdout: made.stdout }, { code: 0, stdout: "certificate: data/pki/ca.crt\n" });
  await using instance = await startInstance(folder, ["--auto-approve", ...command]);
  await folder.succeed(...bootstrapLine("n1"));
  for (const kubeconfig of [folder.join("n1/kubeconfig"), `${instance.data}/admin.kubeconfig`]) {
    await using connected = await connectWith(kubeconfig);
    assert.equal(await connected.api.requestText({ method: "GET", path: "/healthz" }, signal), "ok");
  }
  const files = await readdir(`${instance.data}/pki`);
  assert.deepEqual(files.sort(), ["apiserver.crt", "apiserver.key", "ca.crl", "ca.crt", "sa.key", "sa.pub"]);
  const runs = new Set((await readFile(folder.join("runs"), "utf8")).trim().split("\n"));
  assert.deepEqual([...runs].sort(), [`public-key ${instance.data}/pki/ca.crt`, `sign ${instance.data}/pki/ca.crt`]);
});

test("ca import imports a chain whose key is held by a program, and refuses a chain for another key", async () => {
  await using folder = await createWorkplace();
  const root = await createSigningCa({ commonName: "root" });
  const intermediate = await createIntermediateCa(root);
  await writeFile(folder.join("chain.pem"), encodeTrust(intermediate));
  await writeFile(folder.join("root.pem"), root.certificatePem);
  const program = await writeKeyProgram(folder, intermediate.keyPem);
  const init = ["ca", "import", "--signing-key-command", program, "--ca-cert"];
  assert.match(await folder.refuse(1, ...init, "root.pem"), /private key does not match public key/);
  assert.match(
    await folder.refuse(2, ...init, "chain.pem", "--ca-key", "held.key"),
    /--signing-key-command and --ca-key exclude each other/,
  );
  const taken = await folder.succeed(...init, "chain.pem");
  assert.match(taken.stdout, /^certificate: data\/pki\/ca\.crt\nsubject: CN=intermediate\nissued by: CN=root\nvalid /);
  assert.equal((await folder.tlsboot("kubeconfig", "admin")).code, 1);
  assert.equal((await folder.tlsboot("kubeconfig", "admin", "--signing-key-command", program)).code, 0);
});

test("ca init refuses --encrypt-key with --signing-key-command", async () => {
  await using folder = await createWorkplace();
  assert.match(
    await folder.refuse(2, "ca", "init", "--encrypt-key", "--signing-key-command", "hsm"),
    /--encrypt-key and --signing-key-command exclude each other/,
  );
});

test("the signer accepts a certificate without a key file when a program holds the key, and reports the program's errors", async () => {
  await using folder = await createWorkplace();
  const ca = await createSigningCa();
  await writeFile(folder.join("ca.crt"), ca.certificatePem);
  const signer = ["signer", "--kubeconfig", "none", "--cluster-signing-cert-file", "ca.crt"];
  assert.equal((await folder.tlsboot(...signer)).code, 2);
  assert.match(
    await folder.refuse(1, ...signer, "--signing-key-command", "hsm"),
    /cannot use the CA key of ".*\/hsm public-key": there is no such program\ntlsboot: hint: run/,
  );
  const working = await writeKeyProgram(folder, ca.keyPem);
  assert.match((await folder.tlsboot(...signer, "--signing-key-command", working)).stderr, /cannot read kubeconfig/);
  const broken = await writeKeyProgram(folder, ca.keyPem, "exits with 3 when it signs");
  assert.match(
    await folder.refuse(1, ...signer, "--signing-key-command", broken),
    /sign ECDSA-SHA256": it ended with exit code 3: the token is not there/,
  );
  const other = await writeKeyProgram(folder, (await createSigningCa()).keyPem);
  assert.match(
    await folder.refuse(1, ...signer, "--signing-key-command", other),
    /error reading CA cert file ".*ca\.crt": tls: private key does not match public key/,
  );
});
