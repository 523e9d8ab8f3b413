import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import {
  createIntermediate,
  createTestAuthority,
  hoursFromNow,
  issueTestCertificate,
  NOW,
  planTestLeaf,
  unwrap,
} from "../../../tests/support/test_authority.ts";
import { createAuthority } from "./authority.ts";
import type { CertificateFacts } from "../x509/certificate.ts";
import { verifyChain } from "../x509/chain.ts";
import { crossSign, findCrossSignFault } from "./cross_sign.ts";
import { generatePrivateKey } from "../keys/keys.ts";
import { NO_SUBTREES } from "../x509/name_constraints.ts";

const OPTIONS = { notBefore: NOW, serial: Uint8Array.of(7) };
const AT = { at: hoursFromNow(0.5) };

for (const commonName of ["kubernetes-2", "kubernetes"]) {
  for (const algorithm of ["ecdsa-p256", "rsa-2048", "ed25519"] as const) {
    test(`crossSign() lets the old root verify leaves of the new CA: ${commonName}, ${algorithm}`, async () => {
      const oldCa = await createTestAuthority();
      const newCa = await createTestAuthority(algorithm, { commonName, notAfter: hoursFromNow(48) });
      const cross = unwrap(await crossSign(newCa.certificate, oldCa, OPTIONS));
      const leaf = await issueTestCertificate(newCa, planTestLeaf(newCa.privateKey));
      assert.equal(unwrap(verifyChain(leaf, [cross], [oldCa.certificate], AT)).length, 3);
      assert.equal(unwrap(verifyChain(leaf, [cross], [newCa.certificate], AT)).length, 2);
      assert.equal(verifyChain(leaf, [], [oldCa.certificate], AT).ok, false);
      assert.deepEqual(cross.subject.raw, newCa.certificate.subject.raw);
      assert.deepEqual(cross.issuer.raw, oldCa.certificate.subject.raw);
      assert.equal(cross.subjectKeyId, newCa.certificate.subjectKeyId);
      assert.equal(cross.authorityKeyId, oldCa.certificate.subjectKeyId);
      assert.deepEqual(cross.keyUsages, newCa.certificate.keyUsages);
      assert.deepEqual(cross.notAfter, oldCa.certificate.notAfter);
    });
  }
}

test("crossSign() keeps the name constraints of the new CA, and the end of the earlier one", async () => {
  const oldCa = await createTestAuthority();
  const key = await generatePrivateKey("ecdsa-p256");
  const nameConstraints = { permitted: { ...NO_SUBTREES, dnsNames: ["example.org"] }, excluded: NO_SUBTREES };
  const newCa = await createAuthority({
    commonName: "new",
    notBefore: NOW,
    notAfter: hoursFromNow(2),
    nameConstraints,
    key,
    serial: Uint8Array.of(1),
  });
  const cross = unwrap(await crossSign(newCa.certificate, oldCa, OPTIONS));
  assert.deepEqual(cross.nameConstraints, nameConstraints);
  assert.deepEqual(cross.notAfter, hoursFromNow(2));
});

test("crossSign() names no CRL, whose URL each other certificate of the old CA has", async () => {
  const crlUrl = "http://ca.example/crl";
  const oldCa = { ...await createTestAuthority(), crlUrl };
  const newCa = await createTestAuthority("ecdsa-p256", { commonName: "new" });
  const names = ({ der }: CertificateFacts) => Buffer.from(der).includes(crlUrl);
  assert.equal(names(unwrap(await crossSign(newCa.certificate, oldCa, OPTIONS))), false);
  assert.equal(names(await issueTestCertificate(oldCa, planTestLeaf(newCa.privateKey))), true);
});

for (
  const { old, fresh, want } of [
    { old: undefined, fresh: undefined, want: undefined },
    { old: 1, fresh: undefined, want: 0 },
    { old: undefined, fresh: 0, want: 0 },
    { old: 3, fresh: 1, want: 1 },
    { old: 2, fresh: 5, want: 1 },
  ]
) {
  test(`crossSign() limits the path length: old ${old}, new ${fresh}`, async () => {
    const root = await createTestAuthority();
    const limit = (maxPathLength: number | undefined) => (maxPathLength === undefined ? {} : { maxPathLength });
    const oldCa = await createIntermediate(root, "old", limit(old));
    const newCa = await createIntermediate(await createTestAuthority(), "new", limit(fresh));
    const cross = unwrap(await crossSign(newCa.certificate, oldCa, OPTIONS));
    assert.equal(cross.maxPathLength, want);
    const leaf = await issueTestCertificate(newCa, planTestLeaf(newCa.privateKey));
    assert.equal(unwrap(verifyChain(leaf, [cross, oldCa.certificate], [root.certificate], AT)).length, 4);
  });
}

test("crossSign() keeps a key identifier of the new CA that was made otherwise, and leaves out unknown usages", async () => {
  const newCa = { ...(await createTestAuthority()).certificate, subjectKeyId: "0102", extendedKeyUsages: ["1.2.3"] };
  const cross = unwrap(await crossSign(newCa, await createTestAuthority(), OPTIONS));
  assert.deepEqual([cross.subjectKeyId, cross.extendedKeyUsages], ["0102", []]);
});

test("findCrossSignFault() demands something that distinguishes two CAs of one name", async () => {
  const { subjectKeyId: _, ...bare } = (await createTestAuthority()).certificate;
  const other = await createTestAuthority("ecdsa-p256", { commonName: "other" });
  assert.match(findCrossSignFault(bare, bare) ?? "", /^both CAs have the same name/);
  assert.equal(findCrossSignFault(other.certificate, bare), undefined);
});

test("crossSign() refuses an old CA that may not have a CA below it", async () => {
  const oldCa = await createIntermediate(await createTestAuthority(), "old", { maxPathLength: 0 });
  const newCa = await createTestAuthority();
  const cross = await crossSign(newCa.certificate, oldCa, OPTIONS);
  assert.match(cross.ok ? "" : cross.error, /path length 0/);
});
