/** `tlsboot request`, checked with openssl and kubectl, with tlsboot's server and with Kubernetes' own. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { KEY_ALGORITHMS } from "../../../core/pki/keys/keys.ts";
import { type Child, type Finished, spawnTlsboot, spawnTlsbootToEnd, succeedTlsboot } from "../../support/child.ts";
import { type Cluster, CLUSTERS } from "../../support/interop/clusters.ts";
import { assertChain, assertKeyMatches, openssl, readMode, readSubject } from "../../support/interop/openssl.ts";
import { sharedControlPlane } from "../../support/interop/shared.ts";

const PROFILE = `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: example.com/web
subject:
  commonName: { allowed: [shop] }
names:
  dns: { allowed: ["*.example.com"] }
  uris: { allowed: ["spiffe://example.com/**"] }
usages: { allowed: [digital signature, server auth] }
lifetime: { max: 24h }
`;

/** Returns the arguments of a request in the cluster's folder, as its administrator. */
function createRequestArgs(
  { folder, adminKubeconfig }: Cluster,
  out: string,
  flags: readonly string[],
): readonly string[] {
  return ["request", "--kubeconfig", adminKubeconfig, "--out", folder.join(out), ...flags];
}

/** Sends a request, lets kubectl approve it, and fetches the certificate. */
async function obtain(cluster: Cluster, out: string, flags: readonly string[]): Promise<void> {
  const requestArgs = createRequestArgs(cluster, out, flags);
  const created = await succeedTlsboot([...requestArgs, "--no-wait", "-o", "json"]);
  await cluster.kubectl.run("certificate", "approve", JSON.parse(created.stdout).request.name);
  await succeedTlsboot(requestArgs);
}

function whoami({ server, caPath, folder, kubectl }: Cluster, out: string): Promise<string> {
  return kubectl.as("/dev/null").run(
    ...["auth", "whoami", `--server=${server}`, `--certificate-authority=${caPath}`],
    ...[`--client-certificate=${folder.join(out, "tls.crt")}`, `--client-key=${folder.join(out, "tls.key")}`],
  );
}

for (const [name, start] of CLUSTERS) {
  describe(name, () => testRequests(start));
}

/** Declares tests that share a cluster; each uses different subjects. */
function testRequests(start: () => Promise<Cluster>): void {
  let cluster: Cluster;
  before(async () => void (cluster = await start()));
  after(() => cluster[Symbol.asyncDispose]());

  test(`tlsboot request gets client certificates for every key algorithm`, async () => {
    for (const type of KEY_ALGORITHMS) {
      const signer = ["--signer", "kubernetes.io/kube-apiserver-client"];
      await obtain(cluster, type, [
        ...signer,
        ...["--subject", `CN=${type},O=team`, "--key-algorithm", type, "--duration", "1h"],
      ]);
      const [certificate, key] = [cluster.folder.join(type, "tls.crt"), cluster.folder.join(type, "tls.key")];
      await assertChain(cluster.caPath, certificate, "sslclient");
      await assertKeyMatches(certificate, key);
      await assertKeyMatches(cluster.folder.join(type, "tls.pem"), cluster.folder.join(type, "tls.pem"));
      assert.equal(await readSubject(certificate), `CN=${type},O=team`);
      assert.equal(await readMode(key), 0o600);
      const who = await whoami(cluster, type);
      assert.match(who, new RegExp(`Username +${type}\n`));
      assert.match(who, /Groups +\[team system:authenticated\]/);
    }
  });

  test(`tlsboot request gets a serving certificate with its names, and renews it`, async () => {
    const flags = [
      ...["--signer", "kubernetes.io/kubelet-serving", "--subject", "CN=system:node:n1,O=system:nodes"],
      ...["--dns", "n1.example.com,n1", "--ip", "10.0.0.7", "--ip", "fd00::7"],
    ];
    await obtain(cluster, "n1", flags);
    const certificate = cluster.folder.join("n1", "tls.crt");
    await assertChain(cluster.caPath, certificate, "sslserver");
    const text = await openssl(["x509", "-in", certificate, "-noout", "-ext", "subjectAltName,extendedKeyUsage"]);
    assert.match(text, /DNS:n1\.example\.com, DNS:n1, IP Address:10\.0\.0\.7, IP Address:FD00:0:0:0:0:0:0:7/);
    assert.match(text, /TLS Web Server Authentication\n/);
    for (const check of [["-verify_hostname", "n1.example.com"], ["-verify_ip", "fd00::7"]]) {
      await openssl(["verify", "-CAfile", cluster.caPath, ...check, certificate]);
    }
    const before = await openssl(["x509", "-in", certificate, "-noout", "-serial", "-pubkey"]);
    const kept = await spawnTlsbootToEnd([...createRequestArgs(cluster, "n1", flags), "--renew-before", "1h"]);
    assert.match(kept.stdout, /^nothing to do/, kept.stderr);
    await obtain(cluster, "n1", [...flags, "--force"]);
    await assertChain(cluster.caPath, certificate, "sslserver");
    await assertKeyMatches(certificate, cluster.folder.join("n1", "tls.key"));
    assert.notEqual(await openssl(["x509", "-in", certificate, "-noout", "-serial", "-pubkey"]), before);
  });

  test(`tlsboot request continues with the same key and request after SIGKILL at any step`, async () => {
    const flags = ["--signer", "kubernetes.io/kube-apiserver-client", "--subject", "CN=killed"];
    const requestArgs = createRequestArgs(cluster, "killed", flags);
    for (
      const step of [/key made/, /asking for/, /request killed-\S+ (?:made|taken up again)/, /waiting for approval/]
    ) {
      await killAt(spawnTlsboot(requestArgs), step);
    }
    const all = (await cluster.kubectl.run("get", "csr", "--output=name")).trim().split("\n");
    const names = all.filter((name) => name.includes("/killed-"));
    assert.equal(names.length, 1, all.join(" "));
    await using waiting = spawnTlsboot(requestArgs);
    await waiting.waitFor(/waiting for approval/);
    await cluster.kubectl.run("certificate", "approve", (names[0] ?? "").replace(/^.*\//, ""));
    assert.equal((await waiting.finished()).code, 0, waiting.stderr());
    await assertChain(cluster.caPath, cluster.folder.join("killed", "tls.crt"), "sslclient");
    assert.match(await whoami(cluster, "killed"), /Username +killed\n/);
  });
}

test("kube-apiserver with a custom signer: tlsboot request gets the certificate of its profile, even after SIGKILL", async () => {
  await using plane = await sharedControlPlane();
  await writeFile(plane.folder.join("web.yaml"), PROFILE);
  const flags = ["--signer", "example.com/web", "--subject", "CN=shop", "--dns", "shop.example.com"];
  const requestArgs = createRequestArgs(plane, "shop", [
    ...flags,
    ...["--uri", "spiffe://example.com/shop", "--key-algorithm", "ecdsa-p384"],
  ]);
  await killAt(spawnTlsboot(requestArgs), /waiting for approval/);
  const name = (await plane.kubectl.run("get", "csr", "--output=name")).trim().replace(/^.*\//, "");
  await plane.kubectl.run("certificate", "approve", name);
  // The request is approved but not signed yet.
  await killAt(spawnTlsboot(requestArgs), /approved \(KubectlApprove\); waiting for the certificate/);
  await using _signer = spawnTlsboot([
    ...["signer", "--kubeconfig", plane.adminKubeconfig, "--profile", plane.folder.join("web.yaml")],
    ...plane.caFlags,
  ]);
  await succeedTlsboot(requestArgs);
  const certificate = plane.folder.join("shop", "tls.crt");
  await assertChain(plane.caPath, certificate, "sslserver");
  await assertKeyMatches(certificate, plane.folder.join("shop", "tls.key"));
  await openssl(["verify", "-CAfile", plane.caPath, "-verify_hostname", "shop.example.com", certificate]);
  const names = await openssl(["x509", "-in", certificate, "-noout", "-ext", "subjectAltName"]);
  assert.match(names, /DNS:shop\.example\.com, URI:spiffe:\/\/example\.com\/shop/);
});

async function killAt(running: Child, step: RegExp): Promise<Finished> {
  await using started = running;
  await started.waitFor(step);
  started.kill("SIGKILL");
  return await started.finished();
}
