/** Tests commands with ML-DSA keys, on runtimes with and without ML-DSA. */
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { hasMlDsa, NO_ML_DSA } from "../../core/pki/keys/ml_dsa.ts";
import { getMlDsaRequest } from "../support/ml_dsa_vectors.ts";
import { createRunner } from "../support/run_captured.ts";
import { createTempFolder } from "../support/temp.ts";

const GATE = "--feature-gates=MLDSA=true";

test("ca init creates a CA with an ML-DSA key, and inspect lists what cannot verify it", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  const open = await tlsboot("ca init --data-dir d --key-algorithm ml-dsa-44");
  if (!hasMlDsa()) {
    const stderr = `tlsboot: error: cannot make a key of ML-DSA-44: ${NO_ML_DSA}\n`;
    assert.deepEqual(open, { code: 1, stdout: "", stderr });
    return assert.deepEqual(await readdir(folder.path), []);
  }
  assert.equal(open.code, 0, open.stderr);
  assert.match(
    await readFile(folder.join("d/pki/ca.key"), "utf8"),
    /^-----BEGIN PRIVATE KEY-----\n.{64}\n.{8}\n-----END/,
  );
  const { stdout } = await tlsboot("inspect d/pki/ca.crt d/pki/ca.key");
  assert.match(
    stdout,
    /Key: +ML-DSA-44\n +Signature: +ML-DSA-44\n +Not verified by: +Go before 1\.27 \(Kubernetes 1\.37/,
  );
  assert.match(stdout, /Usages: +digitalSignature, keyCertSign, cRLSign\n/);
  assert.match(stdout, /private key ML-DSA-44\n +Belongs: +to certificate "CN=tlsboot-ca"/);
});

test("ca sign signs with an ML-DSA key, and for one; without ML-DSA, up refuses its feature gate", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  if (!hasMlDsa()) {
    assert.match(await tlsboot.refuse(2, `up --secure-port 0 ${GATE}`), /cannot turn on the feature MLDSA: /);
    return assert.deepEqual(await readdir(folder.path), []);
  }
  await writeFile(folder.join("quantum.csr"), Buffer.from(getMlDsaRequest("ML-DSA-65"), "base64"));
  await tlsboot.succeed("ca init --data-dir quantum --key-algorithm ml-dsa-44");
  await tlsboot.succeed("ca init --data-dir plain");
  await tlsboot.succeed("ca request --data-dir server --out plain.csr");
  await tlsboot.succeed("ca sign plain.csr --data-dir quantum --out a.crt");
  await tlsboot.succeed("ca sign quantum.csr --common-name quantum --data-dir plain --out b.crt");
});

test("inspect and sign read a request of Go 1.27 for an ML-DSA key, and verify it where the runtime can", async () => {
  await using folder = await createTempFolder();
  const tlsboot = createRunner(folder.path);
  await writeFile(folder.join("node.csr"), Buffer.from(getMlDsaRequest("ML-DSA-65"), "base64"));
  const { stdout } = await tlsboot("inspect node.csr -o json");
  const [found] = JSON.parse(stdout);
  assert.deepEqual(
    [found.keyAlgorithm, found.keyBits, found.signatureAlgorithm, found.isSignatureValid, found.notVerifiedBy.length],
    ["ML-DSA-65", 15_616, "ML-DSA-65", hasMlDsa(), 4],
  );
  await tlsboot("ca init --data-dir d");
  const sign = "sign node.csr --data-dir d --signer kubernetes.io/kube-apiserver-client --out node.crt";
  assert.match(await tlsboot.refuse(3, sign), /x509: cannot verify signature: algorithm unimplemented/);
  const open = await tlsboot(`${sign} ${GATE}`);
  if (hasMlDsa()) assert.deepEqual(open, { code: 0, stdout: "node.crt\n", stderr: "" });
  else assert.equal(open.stderr, `tlsboot: error: cannot turn on the feature MLDSA: ${NO_ML_DSA}\n`);
});
