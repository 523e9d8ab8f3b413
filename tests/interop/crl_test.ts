/** openssl, Go, zlint, nginx and HAProxy accept the CRL of a CA and refuse the certificates that it lists. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { test } from "node:test";
import { createAuthority } from "../../core/pki/authority/authority.ts";
import { createCrl } from "../../core/pki/authority/crl.ts";
import { issueCertificate, SERIAL_BYTES } from "../../core/pki/authority/issue.ts";
import { generatePrivateKey, type KeyAlgorithm } from "../../core/pki/keys/keys.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import {
  checkWithGo,
  checkWithOpenssl,
  type ClientPair,
  type CrlSetting,
  lintCrl,
  startHaproxy,
  startNginx,
} from "../support/interop/crl_checkers.ts";
import { succeedProgram } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { startEtcd } from "../support/interop/etcd.ts";
import { type RunningInstance, startInstance } from "../support/interop/instance.ts";
import { openssl } from "../support/interop/openssl.ts";
import { startServers } from "../support/interop/servers.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const HOUR_MS = 3_600_000;

/**
 * Creates a CA, a server's pair and two client pairs. The CA's CRL lists one of the clients among many other serial
 * numbers.
 */
async function createSetting(
  folder: TempFolder,
  algorithm: KeyAlgorithm,
): Promise<CrlSetting & { readonly good: ClientPair; readonly revoked: ClientPair }> {
  const now = Date.now();
  const at = (hours: number): Date => new Date(now + hours * HOUR_MS);
  const random = () => crypto.getRandomValues(new Uint8Array(SERIAL_BYTES));
  const authority = await createAuthority({
    commonName: "tlsboot-ca",
    notBefore: at(-1),
    notAfter: at(24),
    key: await generatePrivateKey(algorithm),
    serial: random(),
  });
  const ca = folder.join("ca.crt");
  await writeFile(ca, authority.certificatePem);

  async function issue(name: string, usage: string): Promise<ClientPair & { readonly serial: Uint8Array }> {
    const key = await generatePrivateKey("ecdsa-p256");
    const serial = random();
    const plan = {
      subject: { commonName: name },
      publicKeyDer: key.publicKeyDer(),
      dnsNames: usage === "server auth" ? ["localhost"] : [],
      ipAddresses: [],
      emailAddresses: [],
      uris: [],
      notBefore: at(-1),
      notAfter: at(12),
      usages: ["digital signature", usage],
      isCa: false,
    };
    const paths = { certificate: folder.join(`${name}.crt`), key: folder.join(`${name}.key`) };
    await writeFile(paths.certificate, encodePem("CERTIFICATE", await issueCertificate(plan, authority, serial)));
    await writeFile(paths.key, key.toPem(), { mode: 0o600 });
    return { ...paths, serial };
  }

  const server = await issue("server", "server auth");
  const good = await issue("good", "client auth");
  const revoked = await issue("revoked", "client auth");
  const serials = [...Array.from({ length: 1_500 }, random), revoked.serial, random()];
  const entries = serials.map((serial) => ({
    serialNumber: Buffer.from(serial).toString("hex"),
    revokedAt: at(-0.5),
    reason: "keyCompromise" as const,
  }));
  const crl = folder.join("ca.crl");
  const plan = { entries, number: BigInt(now) << 16n, thisUpdate: at(0), nextUpdate: at(24) };
  await writeFile(crl, encodePem("X509 CRL", await createCrl(plan, authority, () => setImmediate())));
  return { folder, ca, crl, serverCertificate: server.certificate, serverKey: server.key, good, revoked };
}

for (const algorithm of ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "ed25519"] as const) {
  test(`openssl and Go accept the CRL of a CA and refuse a revoked certificate: ${algorithm}`, async () => {
    await using folder = await createTempFolder();
    const setting = await createSetting(folder, algorithm);
    for (const check of [checkWithOpenssl, checkWithGo]) {
      assert.equal(await check(setting, setting.good.certificate), undefined);
      assert.equal(await check(setting, setting.serverCertificate), undefined);
      assert.match(
        await check(setting, setting.revoked.certificate) ?? "",
        /certificate revoked|revoked at .* reason 1/,
      );
    }
    assert.deepEqual(await lintCrl(setting.crl), []);
    const text = await openssl(["crl", "-in", setting.crl, "-noout", "-text", "-CAfile", setting.ca]);
    assert.match(text, /Version 2 .*X509v3 Authority Key Identifier: .*X509v3 CRL Number: .*Key Compromise/s);
  });
}

test("openssl, Go, nginx and HAProxy refuse a revoked node with the CRL of the server, and accept another node", async () => {
  await using instance = await startInstance({ args: ["--auto-approve"] });
  const { folder } = instance;
  const [revoked, good] = [await joinNode(instance, "n1"), await joinNode(instance, "n2")];
  const crl = folder.join("ca.crl");
  const setting: CrlSetting = {
    folder,
    ca: instance.caPath,
    crl,
    serverCertificate: `${instance.dataDir}/pki/apiserver.crt`,
    serverKey: `${instance.dataDir}/pki/apiserver.key`,
  };
  await instance.succeed("ca", "crl", "--data-dir", instance.dataDir, "--out", crl);
  for (const { certificate } of [revoked, good]) assert.equal(await checkWithOpenssl(setting, certificate), undefined);

  const serial = new X509Certificate(await readFile(revoked.certificate)).serialNumber;
  const line = ["revoke", serial, "--data-dir", instance.dataDir, "--reason", "keyCompromise", "--yes"];
  await instance.succeed(...line);
  await eventually("the server to list it", async () => {
    await instance.succeed("ca", "crl", "--data-dir", instance.dataDir, "--out", crl);
    return await checkWithOpenssl(setting, revoked.certificate);
  });
  assert.match(await checkWithGo(setting, revoked.certificate) ?? "", /revoked at .* reason 1/);
  for (const check of [checkWithOpenssl, checkWithGo]) assert.equal(await check(setting, good.certificate), undefined);
  // A CRL is backdated by five minutes for clients whose clocks are behind, but an entry has the real time of its
  // revocation, so a new entry is later than its CRL. RFC 5280 has no rule against it, and every verifier here accepts
  // it.
  assert.deepEqual(await lintCrl(crl), ["e_crl_revocation_time_after_this_update"]);
  for (const startServer of [startNginx, startHaproxy]) {
    await using server = await startServer(setting);
    assert.equal(await server.check(good), undefined);
    assert.match(await server.check(revoked) ?? "", /certificate/i);
  }
  // The server publishes the same CRL in DER.
  const der = folder.join("served.crl");
  const url = `${instance.server}/pki/ca.crl`;
  await succeedProgram("curl", ["-sS", "--fail", "--cacert", instance.caPath, "-o", der, url]);
  assert.equal(
    await openssl(["crl", "-inform", "der", "-in", der, "-noout", "-fingerprint"]),
    await openssl(["crl", "-in", crl, "-noout", "-fingerprint"]),
  );
});

/** Bootstraps a node, whose certificate and key are in one file. */
async function joinNode(instance: RunningInstance, name: string): Promise<ClientPair> {
  await instance.succeed(
    ...["bootstrap", "--bootstrap-kubeconfig", instance.bootstrapKubeconfig, "--hostname-override", name],
    ...["--kubeconfig", `${name}/kubeconfig`, "--cert-dir", `${name}/pki`],
  );
  const path = instance.folder.join(name, "pki", "kubelet-client-current.pem");
  return { certificate: path, key: path };
}

test("servers on one etcd list what was revoked at another, in CRLs with different numbers", async () => {
  await using etcd = await startEtcd({ members: 1 });
  await using servers = await startServers([etcd.urls, etcd.urls], { args: ["--auto-approve"] });
  const [a, b] = servers.instances as [RunningInstance, RunningInstance];
  const { certificate } = await joinNode(a, "n1");
  const serial = new X509Certificate(await readFile(certificate)).serialNumber;
  await a.succeed("revoke", serial, "--data-dir", a.dataDir, "--yes");
  const numbers = new Set<string>();
  for (const { dataDir, caPath } of [a, b]) {
    const crl = `${dataDir}/pki/ca.crl`;
    await eventually(`${crl} to list it`, () => checkWithOpenssl({ ca: caPath, crl }, certificate));
    numbers.add(await openssl(["crl", "-in", crl, "-noout", "-crlnumber"]));
  }
  assert.equal(numbers.size, 2);
});
