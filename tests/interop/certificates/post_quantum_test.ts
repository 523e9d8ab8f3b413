/** ML-DSA end to end, checked with OpenSSL 3.5: every parameter set, for a CA, a client and a server. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { ensureNewOpenssl } from "../../support/peers/debian.ts";
import { spawnTlsbootToEnd, succeedProgram, succeedTlsboot } from "../../support/child.ts";
import { createTempFolder } from "../../support/temp.ts";
import { type RunningInstance, startInstance } from "../../support/interop/instance.ts";
import { waitForCertificate } from "../../support/interop/kubectl.ts";

const GATE = "--feature-gates=MLDSA=true";
const ALGORITHMS = ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"] as const;

/** Runs OpenSSL 3.5, which must succeed. */
async function openssl(args: readonly string[], stdin = ""): Promise<string> {
  const { stdout } = await succeedProgram(await ensureNewOpenssl(), args, { stdin });
  return stdout;
}

/** Bootstraps a machine named after the algorithm of its key, and returns the path of its pair. */
async function bootstrap({ folder, bootstrapKubeconfig }: RunningInstance, algorithm: string): Promise<string> {
  const [kubeconfig, certDir] = [folder.join(`${algorithm}.kubeconfig`), folder.join(algorithm)];
  await succeedTlsboot([
    ...["bootstrap", "--bootstrap-kubeconfig", bootstrapKubeconfig, "--kubeconfig", kubeconfig, "--cert-dir", certDir],
    ...["--hostname-override", algorithm, "--key-algorithm", algorithm],
  ]);
  return `${certDir}/kubelet-client-current.pem`;
}

/** Returns the identity that the server sees in a client certificate, over OpenSSL's own TLS 1.3. */
async function whoami(instance: RunningInstance, pairPath: string): Promise<string> {
  const body = '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}';
  const head = [
    "POST /apis/authentication.k8s.io/v1/selfsubjectreviews HTTP/1.1",
    "Host: test",
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
    "Connection: close",
  ];
  return await openssl([
    ...["s_client", "-connect", instance.server.replace("https://", ""), "-CAfile", instance.caPath, "-tls1_3"],
    ...["-quiet", "-verify_return_error", "-cert", pairPath, "-key", pairPath],
  ], `${head.join("\r\n")}\r\n\r\n${body}`);
}

test("machines with ML-DSA keys get certificates and authenticate over TLS 1.3, as OpenSSL agrees", async () => {
  await using instance = await startInstance({ args: ["--auto-approve", GATE] });
  for (const algorithm of ALGORITHMS) {
    const pair = await bootstrap(instance, algorithm);
    await openssl(["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", instance.caPath, pair]);
    await openssl(["pkey", "-in", pair, "-check", "-noout"]);
    assert.match(await whoami(instance, pair), new RegExp(`"username":"system:node:${algorithm}"`));
  }
});

test("a request made by OpenSSL gets a certificate over the API, but not for key encipherment", async () => {
  await using instance = await startInstance({ args: [GATE] });
  const { folder, kubectl } = instance;
  const [key, request] = [folder.join("web.key"), folder.join("web.csr")];
  await openssl(["req", "-new", "-newkey", "ML-DSA-87", "-noenc", "-keyout", key, "-out", request, "-subj", "/CN=ann"]);
  const manifest = (usages: readonly string[]) =>
    readFile(request, "base64").then((base64) =>
      JSON.stringify({
        apiVersion: "certificates.k8s.io/v1",
        kind: "CertificateSigningRequest",
        metadata: { name: "ann" },
        spec: { request: base64, signerName: "kubernetes.io/kube-apiserver-client", usages },
      })
    );
  const wrong = await kubectl.given({ stdin: await manifest(["key encipherment", "client auth"]) }).try(
    "create",
    "-f",
    "-",
  );
  assert.match(wrong.stderr, /spec\.usages: Invalid value: .*an ML-DSA key must not have the usage "key encipherment"/);
  await kubectl.create(await manifest(["digital signature", "client auth"]));
  await kubectl.run("certificate", "approve", "ann");
  const pair = folder.join("ann.pem");
  const certificate = await waitForCertificate(kubectl, "ann");
  await writeFile(pair, `${certificate}${await readFile(key, "utf8")}`, { mode: 0o600 });
  await openssl(["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", instance.caPath, pair]);
  assert.match(await whoami(instance, pair), /"username":"ann"/);
});

test("a CA of each parameter set, with an encrypted key, signs a request made by OpenSSL", async () => {
  await using folder = await createTempFolder();
  const inFolder = { cwd: folder.path };
  await openssl([
    ...["req", "-new", "-newkey", "ML-DSA-44", "-noenc", "-keyout", folder.join("leaf.key")],
    ...["-out", folder.join("leaf.csr"), "-subj", "/CN=leaf"],
  ]);
  await writeFile(folder.join("passphrase"), "a passphrase\n", { mode: 0o600 });
  const sign = ["sign", "leaf.csr", "--signer", "kubernetes.io/kube-apiserver-client"];
  const passphrase = ["--ca-passphrase-file", "passphrase"];
  for (const algorithm of ALGORITHMS) {
    const data = ["--data-dir", algorithm, ...passphrase];
    await succeedTlsboot(["ca", "init", ...data, "--key-algorithm", algorithm], inFolder);
    await succeedTlsboot([...sign, ...data, "--out", `${algorithm}.crt`, GATE], inFolder);
    const [ca, key] = [folder.join(`${algorithm}/pki/ca.crt`), folder.join(`${algorithm}/pki/ca.key`)];
    await openssl(["verify", "-x509_strict", "-CAfile", ca, folder.join(`${algorithm}.crt`)]);
    assert.equal(
      await openssl(["pkey", "-in", key, "-passin", "pass:a passphrase", "-pubout"]),
      await openssl(["x509", "-in", ca, "-noout", "-pubkey"]),
    );
  }
  const refused = await spawnTlsbootToEnd([...sign, "--data-dir", "ml-dsa-44", ...passphrase], inFolder);
  assert.deepEqual([refused.code, refused.stdout], [3, ""]);
  assert.match(refused.stderr, /x509: cannot verify signature: algorithm unimplemented/);
});

const SERVER_PROFILE = `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: example.com/server
names: { dns: { allowed: [localhost] }, ips: { allowed: [127.0.0.1] } }
usages: { allowed: [digital signature, server auth], default: [digital signature, server auth] }
lifetime: { max: 30d }
keys: [{ type: ML-DSA-87 }]
`;

test("a server with an ML-DSA CA and an ML-DSA serving key authenticates clients, and OpenSSL accepts its CRL", async () => {
  await using folder = await createTempFolder();
  const inFolder = { cwd: folder.path };
  const dataDir = folder.join("quantum");
  await succeedTlsboot(["ca", "init", "--data-dir", dataDir, "--key-algorithm", "ml-dsa-65"]);
  const [key, certificate] = [folder.join("server.key"), folder.join("server.crt")];
  await openssl([
    ...["req", "-new", "-newkey", "ML-DSA-87", "-noenc", "-keyout", key, "-out", folder.join("server.csr")],
    ...["-subj", "/", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
  ]);
  await writeFile(folder.join("server.yaml"), SERVER_PROFILE);
  await succeedTlsboot(
    ["sign", "server.csr", "--data-dir", dataDir, "--profile", "server.yaml", "--out", certificate, GATE],
    inFolder,
  );
  const serving = ["--tls-cert-file", certificate, "--tls-private-key-file", key];
  await using instance = await startInstance({ dataDir, args: ["--auto-approve", ...serving, GATE] });
  // tlsboot's own client verifies the server, and so does OpenSSL.
  const pair = await bootstrap(instance, "ml-dsa-44");
  assert.match(await whoami(instance, pair), /"username":"system:node:ml-dsa-44"/);
  const crl = folder.join("ca.crl");
  await succeedTlsboot(["ca", "crl", "--data-dir", dataDir, "--out", crl]);
  await openssl(["verify", "-x509_strict", "-crl_check", "-CRLfile", crl, "-CAfile", instance.caPath, pair]);
});
