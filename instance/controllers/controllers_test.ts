import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAuthority } from "../../core/pki/authority/authority.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { createSigningCa } from "../../tests/support/signing_ca.ts";
import { createTrustLookup } from "./controllers.ts";

test("createTrustLookup() follows the CAs of a server as they change", async () => {
  const [ours, other] = [await createSigningCa(), await createSigningCa()];
  let believed: readonly CertificateFacts[] = [other.certificate];
  const isTrusted = createTrustLookup({ clientCas: () => believed });
  assert.equal(await isTrusted(ours), false);
  assert.equal(await isTrusted(other), true);
  believed = [ours.certificate];
  assert.equal(await isTrusted(ours), true);
  assert.equal(await isTrusted(other), false);
  const again = await parseAuthority(ours.certificatePem, ours.keyPem);
  assert.equal(await isTrusted(again.ok ? again.value : other), true);
});
