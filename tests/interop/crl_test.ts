/** CRLs of every kind of CA key, before openssl, Go, nginx and HAProxy: they accept a CRL and refuse what it lists. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { test } from "node:test";
import { createAuthority } from "../../core/pki/authority.ts";
import { createCrl } from "../../core/pki/crl.ts";
import { issueCertificate, SERIAL_BYTES } from "../../core/pki/issue.ts";
import { generatePrivateKey, type KeyAlgorithm } from "../../core/pki/keys.ts";
import { encodePem } from "../../core/pki/pem.ts";
import {
  type ClientPair,
  type CrlSetting,
  judgeByGo,
  judgeByOpenssl,
  lintCrl,
  startHaproxy,
  startNginx,
} from "../support/interop/crl_judges.ts";
import { openssl } from "../support/interop/openssl.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const HOUR_MS = 3_600_000;

/** A CA with a server's pair and two clients, one of which its CRL lists beside many others. */
async function makeSetting(
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
    const setting = await makeSetting(folder, algorithm);
    for (const judge of [judgeByOpenssl, judgeByGo]) {
      assert.equal(await judge(setting, setting.good.certificate), undefined);
      assert.equal(await judge(setting, setting.serverCertificate), undefined);
      assert.match(
        await judge(setting, setting.revoked.certificate) ?? "",
        /certificate revoked|revoked at .* reason 1/,
      );
    }
    assert.deepEqual(await lintCrl(setting.crl), []);
    const text = await openssl(["crl", "-in", setting.crl, "-noout", "-text", "-CAfile", setting.ca]);
    assert.match(text, /Version 2 .*X509v3 Authority Key Identifier: .*X509v3 CRL Number: .*Key Compromise/s);
  });
}

for (const [name, startServer] of [["nginx", startNginx], ["HAProxy", startHaproxy]] as const) {
  test(`${name} accepts the CRL of a CA, and refuses the revoked client and no other`, async () => {
    await using folder = await createTempFolder();
    const setting = await makeSetting(folder, "ecdsa-p256");
    await using server = await startServer(setting);
    assert.equal(await server.judge(setting.good), undefined);
    assert.match(await server.judge(setting.revoked) ?? "", /certificate/i);
  });
}
