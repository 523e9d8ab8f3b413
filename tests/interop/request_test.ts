/** `tlsboot request`, judged by openssl and kubectl, at our server and at Kubernetes' own. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { KEY_ALGORITHMS } from "../../core/pki/keys/keys.ts";
import { type Child, type Finished, spawnTlsboot, spawnTlsbootToEnd, succeedTlsboot } from "../support/child.ts";
import { type Cluster, CLUSTERS } from "../support/interop/clusters.ts";
import { assertChain, assertKeyMatches, openssl, readMode, readSubject } from "../support/interop/openssl.ts";
import { sharedControlPlane } from "../support/interop/shared.ts";

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

/** A request in the cluster's folder, as its administrator. */
function requestLine({ folder, adminKubeconfig }: Cluster, out: string, more: readonly string[]): readonly string[] {
  return ["request", "--kubeconfig", adminKubeconfig, "--out", folder.join(out), ...more];
}

/** Sends a request, lets kubectl approve it, and fetches the certificate. */
async function obtain(cluster: Cluster, out: string, more: readonly string[]): Promise<void> {
  const line = requestLine(cluster, out, more);
  const asked = await succeedTlsboot([...line, "--no-wait", "-o", "json"]);
  await cluster.kubectl.run("certificate", "approve", JSON.parse(asked.stdout).request.name);
  await succeedTlsboot(line);
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

/** The tests share one cluster, each with subjects of its own. */
function testRequests(start: () => Promise<Cluster>): void {
  let cluster: Cluster;
  before(async () => void (cluster = await start()));
  after(() => cluster[Symbol.asyncDispose]());

  test(`tlsboot request gets client certificates for every kind of key`, async () => {
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
    const more = [
      ...["--signer", "kubernetes.io/kubelet-serving", "--subject", "CN=system:node:n1,O=system:nodes"],
      ...["--dns", "n1.example.com,n1", "--ip", "10.0.0.7", "--ip", "fd00::7"],
    ];
    await obtain(cluster, "n1", more);
    const certificate = cluster.folder.join("n1", "tls.crt");
    await assertChain(cluster.caPath, certificate, "sslserver");
    const text = await openssl(["x509", "-in", certificate, "-noout", "-ext", "subjectAltName,extendedKeyUsage"]);
    assert.match(text, /DNS:n1\.example\.com, DNS:n1, IP Address:10\.0\.0\.7, IP Address:FD00:0:0:0:0:0:0:7/);
    assert.match(text, /TLS Web Server Authentication\n/);
    for (const check of [["-verify_hostname", "n1.example.com"], ["-verify_ip", "fd00::7"]]) {
      await openssl(["verify", "-CAfile", cluster.caPath, ...check, certificate]);
    }
    const before = await openssl(["x509", "-in", certificate, "-noout", "-serial", "-pubkey"]);
    const kept = await spawnTlsbootToEnd([...requestLine(cluster, "n1", more), "--renew-before", "1h"]);
    assert.match(kept.stdout, /^nothing to do/, kept.stderr);
    await obtain(cluster, "n1", [...more, "--force"]);
    await assertChain(cluster.caPath, certificate, "sslserver");
    await assertKeyMatches(certificate, cluster.folder.join("n1", "tls.key"));
    assert.notEqual(await openssl(["x509", "-in", certificate, "-noout", "-serial", "-pubkey"]), before);
  });

  test(`tlsboot request killed by kill -9 at any step continues with the same key and request`, async () => {
    const more = ["--signer", "kubernetes.io/kube-apiserver-client", "--subject", "CN=killed"];
    const line = requestLine(cluster, "killed", more);
    for (
      const step of [/key made/, /asking for/, /request killed-\S+ (?:made|taken up again)/, /waiting for approval/]
    ) {
      await killAt(spawnTlsboot(line), step);
    }
    const all = (await cluster.kubectl.run("get", "csr", "--output=name")).trim().split("\n");
    const names = all.filter((name) => name.includes("/killed-"));
    assert.equal(names.length, 1, all.join(" "));
    await using waiting = spawnTlsboot(line);
    await waiting.waitFor(/waiting for approval/);
    await cluster.kubectl.run("certificate", "approve", (names[0] ?? "").replace(/^.*\//, ""));
    assert.equal((await waiting.finished()).code, 0, waiting.stderr());
    await assertChain(cluster.caPath, cluster.folder.join("killed", "tls.crt"), "sslclient");
    assert.match(await whoami(cluster, "killed"), /Username +killed\n/);
  });
}

test("kube-apiserver with a custom signer: tlsboot request gets the certificate of its profile, after kill -9 too", async () => {
  await using plane = await sharedControlPlane();
  await writeFile(plane.folder.join("web.yaml"), PROFILE);
  const more = ["--signer", "example.com/web", "--subject", "CN=shop", "--dns", "shop.example.com"];
  const line = requestLine(plane, "shop", [
    ...more,
    ...["--uri", "spiffe://example.com/shop", "--key-algorithm", "ecdsa-p384"],
  ]);
  await killAt(spawnTlsboot(line), /waiting for approval/);
  const name = (await plane.kubectl.run("get", "csr", "--output=name")).trim().replace(/^.*\//, "");
  await plane.kubectl.run("certificate", "approve", name);
  // The request is approved but not signed yet.
  await killAt(spawnTlsboot(line), /approved \(KubectlApprove\); waiting for the certificate/);
  await using _signer = spawnTlsboot([
    ...["signer", "--kubeconfig", plane.adminKubeconfig, "--profile", plane.folder.join("web.yaml")],
    ...plane.caFlags,
  ]);
  await succeedTlsboot(line);
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
