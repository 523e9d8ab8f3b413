/** A person's client certificate by a CSR, as in the Kubernetes project's own end-to-end test (RSA key, one hour). */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { csrManifest } from "../support/interop/csr_manifest.ts";
import { assertChain, assertKeyMatches, openssl } from "../support/interop/openssl.ts";
import { startInstance } from "../support/interop/instance.ts";

test("kubectl authenticates with an issued certificate, and has the rights that RBAC grants its name", async () => {
  await using instance = await startInstance();
  const { folder, kubectl } = instance;
  const [key, certificate] = [folder.join("tester.key"), folder.join("tester.crt")];
  await openssl(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key]);
  const request = Buffer.from(await openssl(["req", "-new", "-key", key, "-subj", "/CN=tester-csr"])).toString(
    "base64",
  );
  const usages = ["digital signature", "key encipherment", "client auth"];
  const manifest = (generateName: string) =>
    csrManifest("", {
      metadata: { name: undefined, generateName },
      spec: { request, usages, expirationSeconds: 3600 },
    });

  const created = await kubectl.given({ stdin: await manifest("tester-csr-") }).run(
    "create",
    "-f",
    "-",
    "--output=name",
  );
  const name = created.trim().split("/")[1] ?? "";
  assert.match(name, /^tester-csr-[a-z0-9]{5}$/);
  await kubectl.run("certificate", "approve", name);
  await kubectl.run("wait", `csr/${name}`, "--for=jsonpath={.status.certificate}", "--timeout=30s");
  const base64 = await kubectl.run("get", "csr", name, "--output=jsonpath={.status.certificate}");
  await writeFile(certificate, Buffer.from(base64, "base64"));
  await assertChain(instance.caPath, certificate, "sslclient");
  await assertKeyMatches(certificate, key);

  const tester = [
    "--server",
    instance.server,
    "--certificate-authority",
    instance.caPath,
    "--client-certificate",
    certificate,
  ];
  const asTester = kubectl.as("/dev/null").given({ stdin: await manifest("again-") });
  const creation = [
    ...tester,
    "--client-key",
    key,
    "create",
    "-f",
    "-",
    "--validate=false",
    "--output=jsonpath={.spec.username}",
  ];
  const refused = await asTester.try(...creation);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /is forbidden: User "tester-csr" cannot create resource "certificatesigningrequests"/);

  await kubectl.run(
    "create",
    "clusterrole",
    "ask",
    "--verb=create",
    "--resource=certificatesigningrequests.certificates.k8s.io",
  );
  await kubectl.run("create", "clusterrolebinding", "ask", "--clusterrole=ask", "--user=tester-csr");
  assert.equal(await asTester.run(...creation), "tester-csr");
});
