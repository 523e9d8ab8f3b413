/** `tlsboot get trustbundles` and `trust fetch` with tlsboot's server and with Kubernetes' own. */
import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { test } from "node:test";
import { createTestAuthority } from "../../support/test_authority.ts";
import { spawnTlsboot, spawnTlsbootToEnd } from "../../support/child.ts";
import { type Cluster, CLUSTERS } from "../../support/interop/clusters.ts";
import { openssl } from "../../support/interop/openssl.ts";

/** Creates a bundle of the signer example.com/pods with a label. */
function createBundle(version: string, env: string, trustBundle: string): string {
  const metadata = { name: `example.com:pods:${version}`, labels: { env } };
  const spec = { signerName: "example.com/pods", trustBundle };
  return JSON.stringify({ apiVersion: "certificates.k8s.io/v1", kind: "ClusterTrustBundle", metadata, spec });
}

async function publish({ kubectl }: Cluster, bundle: string): Promise<void> {
  await kubectl.given({ stdin: bundle }).run("apply", "--server-side", "-f", "-");
}

function countCertificates(path: string): Promise<number> {
  return readFile(path, "utf8").then((pem) => pem.split("-----BEGIN CERTIFICATE-----").length - 1);
}

for (const [name, start] of CLUSTERS) {
  test(`${name}: tlsboot trust fetch merges the bundles of a signer, and follows them`, async () => {
    await using cluster = await start();
    const { folder, adminKubeconfig, kubectl } = cluster;
    const [old, now, next] = await Promise.all(
      ["old", "now", "next"].map(async (commonName) =>
        (await createTestAuthority("ecdsa-p256", { commonName })).certificatePem
      ),
    );
    await publish(cluster, createBundle("v1", "prod", `${old}${now}`));
    await publish(cluster, createBundle("v2", "prod", `# once more\n${now}${next}`));
    await publish(
      cluster,
      createBundle("v3", "test", `${await createTestAuthority().then((ca) => ca.certificatePem)}`),
    );

    const listed = await spawnTlsbootToEnd(["get", "trustbundles", "--kubeconfig", adminKubeconfig, "-l", "env=prod"]);
    assert.match(
      listed.stdout,
      /^NAME +SIGNER +CERTIFICATES +EXPIRES\nexample\.com:pods:v1 +example\.com\/pods +2 +2026-/,
    );

    const out = folder.join("pods.pem");
    const line = ["trust", "fetch", "--kubeconfig", adminKubeconfig, "--signer", "example.com/pods", "--out", out];
    const prod = await spawnTlsbootToEnd([...line, "-l", "env=prod"]);
    assert.match(prod.stdout, /pods\.pem: 3 certificates, valid until 2026-/, prod.stderr);
    assert.equal((await stat(out)).mode & 0o777, 0o644);
    const subjects = await openssl(["storeutl", "-noout", "-text", "-certs", out]);
    for (const commonName of ["old", "now", "next"]) {
      assert.match(subjects, new RegExp(`Subject: CN ?= ?${commonName}\n`));
    }

    await using watching = spawnTlsboot([...line, "--watch", "--exec", "echo changed"]);
    await watching.waitFor(/changed/);
    assert.equal(await countCertificates(out), 4, "without -l, all bundles of the signer");
    await kubectl.run("delete", "clustertrustbundle/example.com:pods:v3");
    await watching.waitFor(/(?:[^]*changed){2}/);
    assert.equal(await countCertificates(out), 3);
    await publish(cluster, createBundle("v2", "prod", next ?? ""));
    await kubectl.run("delete", "clustertrustbundle/example.com:pods:v1");
    await watching.waitFor(/(?:[^]*changed){3}/);
    assert.equal(await readFile(out, "utf8"), next);
    watching.kill("SIGTERM");
    assert.equal((await watching.finished()).code, 130);
  });
}
