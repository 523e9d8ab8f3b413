/** Every kind of CA, checked with openssl, kubelet, kubectl and kube-apiserver. */
import assert from "node:assert/strict";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import { join } from "node:path";
import { test } from "node:test";
import { createTlsTransport } from "../../../client/transport/tls_transport.ts";
import { ROOT, runProgram, spawnTlsboot, succeedIn } from "../../support/child.ts";
import { listenOnLoopback, type LoopbackServer } from "../../support/loopback_server.ts";
import { createTempFolder, type TempFolder } from "../../support/temp.ts";
import { controllerRbac } from "../../support/interop/controller_rbac.ts";
import {
  assertChain,
  assertKeyMatches,
  CA_EXTENSIONS,
  csrManifest,
  makeCertificate,
  openssl,
} from "../../support/interop/openssl.ts";
import { startKubelet } from "../../support/interop/kubelet.ts";
import { createKubectl, waitForCertificate } from "../../support/interop/kubectl.ts";
import { sharedControlPlane } from "../../support/interop/shared.ts";
import { type RunningInstance, startInstance } from "../../support/interop/instance.ts";

const quiet = new AbortController().signal;
const KEY_PROGRAM = join(ROOT, "docs", "examples", "ca-key-openssl");

/** Copies the certificate in an administrator's kubeconfig to a file, and returns the path. */
async function extractAdmin(folder: TempFolder, dataDir: string): Promise<string> {
  const text = await readFile(folder.join(`${dataDir}/admin.kubeconfig`), "utf8");
  const [, certificate = ""] = /client-certificate-data: "?([^"\s]+)/.exec(text) ?? [];
  const path = folder.join(`${dataDir}/admin.crt`);
  await writeFile(path, atob(certificate));
  return path;
}

async function createIntermediate(folder: TempFolder): Promise<void> {
  await makeCertificate(folder, { name: "root", extensions: CA_EXTENSIONS });
  const extensions = [...CA_EXTENSIONS, "authorityKeyIdentifier=keyid"];
  await makeCertificate(folder, { name: "intermediate", issuer: "root", extensions });
  const chain = await Promise.all(["intermediate", "root"].map((name) => readFile(folder.join(`${name}.crt`), "utf8")));
  await writeFile(folder.join("chain.pem"), chain.join(""));
}

async function assertKubeletBootstraps(instance: RunningInstance, node: string): Promise<string> {
  await using kubelet = await startKubelet(instance.folder, node, instance.bootstrapKubeconfig);
  await kubelet.running.finished();
  const whoami = await instance.kubectl.as(kubelet.kubeconfig).run("auth", "whoami");
  assert.match(whoami, new RegExp(`Username +system:node:${node}\n`));
  return kubelet.currentPair;
}

/** Asserts that a leaf verifies up to the root with the intermediates that follow it, and not without them. */
async function assertChainedTo(rootPath: string, chainPath: string, purpose: string): Promise<void> {
  const strict = ["verify", "-x509_strict", "-CAfile", rootPath, "-purpose", purpose];
  await openssl([...strict, "-untrusted", chainPath, chainPath]);
  const alone = await runProgram("openssl", [...strict, chainPath]);
  assert.notEqual(alone.code, 0);
  const text = await readFile(chainPath, "utf8");
  assert.equal(text.match(/BEGIN CERTIFICATE/g)?.length, 2, text);
}

async function serveHttps(folder: TempFolder, name: string): Promise<LoopbackServer> {
  const [cert, key] = await Promise.all([
    readFile(folder.join(`${name}.crt`), "utf8"),
    readFile(folder.join(`${name}.key`), "utf8"),
  ]);
  return await listenOnLoopback(createServer({ cert, key }, (_request, response) => void response.end("{}")));
}

test("a kubelet bootstraps from up with a split CA, and each certificate comes from the CA for its purpose", async () => {
  await using folder = await createTempFolder();
  await succeedIn(folder, "ca", "init", "--split", "--data-dir", "data");
  await using instance = await startInstance({ args: ["--auto-approve"], dataDir: folder.join("data") });
  const pair = await assertKubeletBootstraps(instance, "n1");
  const ca = (name: string) => `${instance.dataDir}/pki/${name}.crt`;
  await assertChain(ca("kubelet-client-ca"), pair, "sslclient");
  await assertChain(ca("ca"), `${instance.dataDir}/pki/apiserver.crt`, "sslserver");
  for (const other of ["ca", "client-ca", "kubelet-serving-ca"]) {
    assert.notEqual((await runProgram("openssl", ["verify", "-CAfile", ca(other), pair])).code, 0, other);
  }
  assert.match(await instance.kubectl.run("auth", "whoami"), /Username +kubernetes-admin\n/);
  const published = await instance.kubectl.run(
    ...["get", "configmap", "kube-root-ca.crt", "--namespace=kube-system", "--output=jsonpath={.data.ca\\.crt}"],
  );
  assert.equal(published.trim(), (await readFile(ca("ca"), "utf8")).trim());
});

test("a kubelet bootstraps from up with an intermediate CA that openssl made, and keeps the chain", async () => {
  await using folder = await createTempFolder();
  await createIntermediate(folder);
  const caFlags = ["--ca-cert", "chain.pem", "--ca-key", "intermediate.key"];
  await succeedIn(folder, "ca", "import", "--data-dir", "data", ...caFlags);
  await using instance = await startInstance({ args: ["--auto-approve"], dataDir: folder.join("data") });
  const pair = await assertKubeletBootstraps(instance, "n1");
  await assertChainedTo(folder.join("root.crt"), pair, "sslclient");
  await assertChainedTo(folder.join("root.crt"), `${instance.dataDir}/pki/apiserver.crt`, "sslserver");
  const address = instance.server.replace("https://", "");
  const client = ["s_client", "-connect", address, "-CAfile", folder.join("root.crt"), "-verify_return_error"];
  const { code, stderr } = await runProgram("openssl", client);
  assert.equal(code, 0, stderr);

  // An administrator of another instance, certified by the same root, has no permissions here.
  const extensions = ["extendedKeyUsage=clientAuth", "authorityKeyIdentifier=keyid"];
  await makeCertificate(folder, { name: "outsider", issuer: "root", extensions });
  const outsider = ["--client-certificate", folder.join("outsider.crt"), "--client-key", folder.join("outsider.key")];
  const refused = await instance.kubectl.try(
    ...["get", "csr"],
    ...outsider,
    ...["--kubeconfig=/dev/null", "--server", instance.server, "--certificate-authority", instance.caPath],
  );
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /Unauthorized|must be logged in/);
});

test("kube-apiserver accepts the chain that the signer sends with --cluster-signing-chain", async () => {
  await using plane = await sharedControlPlane();
  const { kubectl } = plane;
  await kubectl.create(controllerRbac());
  await createIntermediate(plane.folder);
  await using _signer = spawnTlsboot([
    ...["signer", "--kubeconfig", await plane.kubeconfigWithToken("signer", "signer-token"), "--cluster-signing-chain"],
    ...["--cluster-signing-cert-file", plane.folder.join("chain.pem")],
    ...["--cluster-signing-key-file", plane.folder.join("intermediate.key")],
  ]);
  await kubectl.create(await csrManifest("robot"));
  await kubectl.run("certificate", "approve", "robot");
  const path = plane.folder.join("robot.crt");
  await writeFile(path, await waitForCertificate(kubectl, "robot"));
  await assertChainedTo(plane.folder.join("root.crt"), path, "sslclient");
});

test("openssl, kubectl and our client refuse a name outside the CA's constraints", async () => {
  await using folder = await createTempFolder();
  const flags = ["--permit-dns", "example.org", "--permit-ip", "127.0.0.0/8"];
  await succeedIn(folder, "ca", "init", "--data-dir", ".", ...flags);
  for (const suffix of ["crt", "key"]) await copyFile(folder.join(`pki/ca.${suffix}`), folder.join(`ca.${suffix}`));
  const text = await openssl(["x509", "-in", folder.join("ca.crt"), "-noout", "-text"]);
  assert.match(
    text,
    /X509v3 Name Constraints: critical\n +Permitted:\n +DNS:example\.org\n +IP:127\.0\.0\.0\/255\.0\.0\.0\n/,
  );
  await assertChain(folder.join("ca.crt"), folder.join("ca.crt"));
  const serving = ["extendedKeyUsage=serverAuth", "authorityKeyIdentifier=keyid"];
  const names = { inside: "DNS:api.example.org,IP:127.0.0.1", outside: "DNS:api.example.com,IP:127.0.0.1" };
  for (const [name, subjectAltName] of Object.entries(names)) {
    const extensions = [...serving, `subjectAltName=${subjectAltName}`];
    await makeCertificate(folder, { name, issuer: "ca", extensions });
  }
  await assertChain(folder.join("ca.crt"), folder.join("inside.crt"), "sslserver");
  const refused = await runProgram("openssl", ["verify", "-CAfile", folder.join("ca.crt"), folder.join("outside.crt")]);
  assert.match(`${refused.stdout}${refused.stderr}`, /permitted subtree violation/);

  await mkdir(folder.join("home"));
  const kubectl = createKubectl(folder, "/dev/null");
  const caPem = await readFile(folder.join("ca.crt"), "utf8");
  for (const name of ["inside", "outside"]) {
    await using server = await serveHttps(folder, name);
    const url = `https://127.0.0.1:${server.port}`;
    const isInside = name === "inside";
    {
      await using transport = createTlsTransport({ server: url, caPem, userAgent: "test" });
      const sent = transport.send({ method: "GET", path: "/", headers: {} }, quiet);
      if (isInside) assert.equal((await sent).status, 200);
      else await assert.rejects(sent, { code: "tls_untrusted" });
    }
    // Without a credential kubectl prompts for a user name.
    const trust = ["--server", url, "--certificate-authority", folder.join("ca.crt"), "--token=none"];
    const { code, stderr } = await kubectl.try("get", "--raw", "/", ...trust);
    if (isInside) assert.equal(code, 0, stderr);
    else assert.match(stderr, /"api\.example\.com" is not permitted by any constraint/);
  }
});

test("openssl decrypts our CA key, and we sign with a key that openssl has encrypted", async () => {
  await using folder = await createTempFolder();
  await writeFile(folder.join("pass"), "correct horse battery\n", { mode: 0o600 });
  const passphrase = ["--ca-passphrase-file", "pass"];
  await succeedIn(folder, "ca", "init", "--data-dir", "made", ...passphrase);
  const keyArgs = ["pkey", "-in", folder.join("made/pki/ca.key"), "-passin", `file:${folder.join("pass")}`];
  const publicKey = await openssl([...keyArgs, "-pubout"]);
  assert.equal(publicKey, await openssl(["x509", "-in", folder.join("made/pki/ca.crt"), "-noout", "-pubkey"]));

  await makeCertificate(folder, { name: "root", extensions: CA_EXTENSIONS });
  const schemes = [["-v2", "aes-256-cbc"], ["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"], ["-scrypt"]];
  for (const [index, scheme] of schemes.entries()) {
    const key = folder.join(`encrypted-${index}.key`);
    const out = ["-passout", `file:${folder.join("pass")}`, "-out", key];
    await openssl(["pkcs8", "-topk8", "-in", folder.join("root.key"), ...scheme, ...out]);
    const caFlags = ["--ca-cert", "root.crt", "--ca-key", key, "--data-dir", `taken-${index}`];
    await succeedIn(folder, "ca", "import", ...caFlags, ...passphrase);
    await succeedIn(folder, "kubeconfig", "admin", "--data-dir", `taken-${index}`, ...passphrase);
    await assertChain(folder.join("root.crt"), await extractAdmin(folder, `taken-${index}`), "sslclient");
  }
});

for (
  const [name, key] of [
    ["P-256", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]],
    ["P-384", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]],
    ["P-521", ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]],
    ["RSA", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]],
    ["Ed25519", ["-algorithm", "ED25519"]],
  ] as const
) {
  test(`a CA signs through the documented key program: ${name}`, async () => {
    await using folder = await createTempFolder();
    await mkdir(folder.join("data/pki"), { recursive: true });
    await openssl(["genpkey", ...key, "-out", folder.join("data/pki/ca.key")]);
    const program = ["--data-dir", "data", "--signing-key-command", KEY_PROGRAM];
    await succeedIn(folder, "ca", "init", ...program);
    await succeedIn(folder, "kubeconfig", "admin", ...program);
    const ca = folder.join("data/pki/ca.crt");
    await assertKeyMatches(ca, folder.join("data/pki/ca.key"));
    await assertChain(ca, ca);
    await assertChain(ca, await extractAdmin(folder, "data"), "sslclient");
  });
}

test("a kubelet bootstraps from up with a CA that signs through the documented key program", async () => {
  await using folder = await createTempFolder();
  await mkdir(folder.join("data/pki"), { recursive: true, mode: 0o700 });
  const key = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
  await openssl(["genpkey", ...key, "-out", folder.join("data/pki/ca.key")]);
  const args = ["--auto-approve", "--signing-key-command", KEY_PROGRAM];
  await using instance = await startInstance({ args, dataDir: folder.join("data") });
  const pair = await assertKubeletBootstraps(instance, "n1");
  await assertChain(instance.caPath, pair, "sslclient");
});
