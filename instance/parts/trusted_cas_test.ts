import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createSigningCa } from "../../tests/support/signing_ca.ts";
import { createInstanceDeps } from "../../tests/support/instance_deps.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { createTrustLookup } from "../controllers/controllers.ts";
import { startInstance } from "../instance.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import { encodeCertificates, parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";

test("a signer follows a change of the client CA file while the instance runs", async () => {
  await using folder = await createTempFolder();
  const [first, second] = await Promise.all([
    createSigningCa({ commonName: "first" }),
    createSigningCa({ commonName: "second" }),
  ]);
  const clientCaFile = folder.join("clients.crt");
  await writeFile(clientCaFile, first.certificatePem);
  const logger = createMemoryLogger();
  await using instance = await startInstance(
    { ...DEFAULT_SETTINGS, dataDir: folder.join("data"), securePort: 0, clientCaFile },
    createInstanceDeps(folder.path, { logger }),
    () => [],
  );
  const isTrusted = createTrustLookup(instance.server);
  const answers = () => Promise.all([instance.authorities.serving, first, second].map(isTrusted));
  assert.deepEqual(await answers(), [true, true, false]);
  const key = "/registry/configmaps/kube-system/extension-apiserver-authentication";
  const readPublished = async () => {
    const { data } = (await instance.storage.get(key))?.object as ConfigMap;
    const bundle = parseCaBundle(data?.["client-ca-file"] ?? "");
    assert.ok(bundle.ok);
    return bundle.value.map(({ der }) => encodePem("CERTIFICATE", der));
  };
  const own = encodeCertificates([instance.authorities.serving.certificate]);
  assert.deepEqual(await readPublished(), [own, first.certificatePem]);
  await writeFile(clientCaFile, second.certificatePem);
  await instance.renew();
  assert.deepEqual(await answers(), [true, false, true]);
  assert.deepEqual(await readPublished(), [own, first.certificatePem, second.certificatePem]);
  await instance.storage.delete(key, (await instance.storage.get(key))!.revision);
  await instance.renew();
  assert.deepEqual(await readPublished(), [own, second.certificatePem]);
  assert.ok(logger.messages("info").includes("client CAs changed"));
  await writeFile(clientCaFile, "no certificate");
  await assert.rejects(instance.renew(), { code: "ca_invalid" });
  assert.deepEqual(await answers(), [true, false, true]);
});
