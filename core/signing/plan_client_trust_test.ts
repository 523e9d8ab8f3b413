import assert from "node:assert/strict";
import { test } from "node:test";
import { createSigningCa, type SigningCa } from "../../tests/support/signing_ca.ts";
import { type CertificateFacts, parseCertificate } from "../pki/x509/certificate.ts";
import { generatePrivateKey } from "../pki/keys/keys.ts";
import { issueCertificate } from "../pki/authority/issue.ts";
import { decideClientTrust, findClientTrust } from "./plan.ts";

async function createSubordinate(ca: SigningCa): Promise<{ readonly certificate: CertificateFacts }> {
  const key = await generatePrivateKey("ecdsa-p256");
  const { notBefore, notAfter } = ca.certificate;
  const plan = {
    subject: { commonName: "below" },
    publicKeyDer: key.publicKeyDer(),
    ...{ dnsNames: [], ipAddresses: [], emailAddresses: [], uris: [] },
    ...{ notBefore, notAfter, usages: ["cert sign"], isCa: true },
  };
  const facts = parseCertificate(await issueCertificate(plan, ca, Uint8Array.of(5)));
  assert.ok(facts.ok);
  return { certificate: facts.value };
}

test("findClientTrust() returns true, false, or undefined when it is unknown", async () => {
  const [root, other, imposter] = await Promise.all([
    createSigningCa(),
    createSigningCa({ commonName: "other" }),
    createSigningCa(),
  ]);
  const below = await createSubordinate(root);
  const believed = [root.certificate, other.certificate];
  assert.equal(findClientTrust(root, believed), true);
  assert.equal(findClientTrust(below, believed), true, "its issuer is believed");
  assert.equal(findClientTrust(below, [other.certificate]), undefined, "its issuer may be below the other one");
  // The same name with another key is another CA.
  assert.equal(findClientTrust(imposter, believed), false);
  assert.equal(findClientTrust(below, [imposter.certificate]), undefined);
  assert.equal(findClientTrust(below, []), false, "an API that trusts no CA");
  const whole = { ...below, issuers: [root.certificate] };
  assert.equal(findClientTrust(whole, [below.certificate]), true, "the CA alone is believed");
  assert.equal(findClientTrust(whole, [other.certificate]), false, "nothing is above its root");
});

test("decideClientTrust() trusts what is unknown for Kubernetes' own signers only", () => {
  const decide = (signerName: string) => [true, false, undefined].map((known) => decideClientTrust(signerName, known));
  assert.deepEqual(decide("example.com/x"), ["trusted", "distrusted", "unknown"]);
  assert.deepEqual(decide("kubernetes.io/kubelet-serving"), ["trusted", "distrusted", "distrusted"]);
});
