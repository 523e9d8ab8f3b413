/** Tests `up` with an intermediate CA, whose issuers are in `pki/ca.crt`. */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { parseCertificateChain } from "../../core/machine/credential_pair.ts";
import { encodeTrust } from "../../core/pki/x509/ca_bundle.ts";
import { writeIntruder } from "../support/intruder.ts";
import { createIntermediateCa, createSigningCa, writeCa } from "../support/signing_ca.ts";
import { bootstrapLine, connectWith, createWorkplace, startInstance } from "../support/instance_process.ts";
import { WEB } from "../support/test_profiles.ts";

const signal = new AbortController().signal;
const CA_FLAGS = ["--cluster-signing-cert-file", "chain.crt", "--cluster-signing-key-file", "chain.key"];

async function readSubjects(path: string): Promise<readonly string[]> {
  const chain = parseCertificateChain(await readFile(path, "utf8"));
  assert.ok(chain.ok);
  return chain.value.map(({ subject }) => subject.commonName);
}

test("up with an intermediate CA appends it to every certificate, and accepts only certificates that it issued", async () => {
  await using folder = await createWorkplace();
  const root = await createSigningCa({ commonName: "root" });
  const intermediate = await createIntermediateCa(root);
  await mkdir(folder.join("data/pki"), { recursive: true, mode: 0o700 });
  await writeCa(folder.join("data/pki/ca"), intermediate);
  await using instance = await startInstance(folder, ["--auto-approve"]);
  assert.deepEqual(await readSubjects(`${instance.data}/pki/apiserver.crt`), ["tlsboot", "intermediate"]);

  await folder.succeed(...bootstrapLine("n1"));
  const pair = folder.join("n1/pki/kubelet-client-current.pem");
  assert.deepEqual(await readSubjects(pair), ["system:node:n1", "intermediate"]);
  for (const kubeconfig of [folder.join("n1/kubeconfig"), `${instance.data}/admin.kubeconfig`]) {
    await using connected = await connectWith(kubeconfig);
    assert.match(await connected.api.requestText({ method: "GET", path: "/version" }, signal), /tlsboot/);
  }

  const cluster = { server: instance.url, caPem: encodeTrust(intermediate) };
  await using intruder = await connectWith(await writeIntruder(folder.join("intruder"), cluster, root));
  await assert.rejects(intruder.api.requestText({ method: "GET", path: "/version" }, signal), { code: "unauthorized" });
});

test("--cluster-signing-cert-file accepts a chain with --cluster-signing-chain, and for custom signers", async () => {
  await using folder = await createWorkplace();
  await writeCa(folder.join("chain"), await createIntermediateCa(await createSigningCa({ commonName: "root" })));
  const refused = await folder.refuse(1, "up", "--data-dir", "data", "--secure-port", "0", ...CA_FLAGS);
  assert.match(refused, /error reading CA cert file "csr-controller::.*": expected 1 certificate, found 2\n/);
  assert.match(refused, /hint: .*--cluster-signing-chain/);

  await writeFile(folder.join("web.yaml"), WEB);
  const signer = ["signer", "--kubeconfig", "none", ...CA_FLAGS];
  const upstream = await folder.tlsboot(...signer);
  assert.match(upstream.stderr, /expected 1 certificate, found 2/);
  // The CA is read before the kubeconfig, which does not exist.
  const custom = await folder.tlsboot(...signer, "--profile", "web.yaml");
  assert.match(custom.stderr, /^tlsboot: error: cannot read kubeconfig/);

  await using _instance = await startInstance(folder, [
    "--auto-approve",
    "--cluster-signing-chain",
    ...CA_FLAGS,
  ]);
  await folder.succeed(...bootstrapLine("n1"));
  const pair = folder.join("n1/pki/kubelet-client-current.pem");
  assert.deepEqual(await readSubjects(pair), ["system:node:n1", "intermediate"]);
});
