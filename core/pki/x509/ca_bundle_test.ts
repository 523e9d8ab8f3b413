import assert from "node:assert/strict";
import { test } from "node:test";
import { createIntermediate, createTestAuthority, hoursFromNow } from "../../../tests/support/test_authority.ts";
import { encodePem } from "../asn1/pem.ts";
import {
  decideTrust,
  describeTrustBundle,
  findCertificates,
  MAX_TRUSTED,
  mergeTrustBundles,
  parseAuthorityChain,
} from "./ca_bundle.ts";

test("mergeTrustBundles() has each certificate once, in an order that depends only on the certificates", async () => {
  const pems = await Promise.all(
    ["one", "two", "three"].map(async (commonName) =>
      (await createTestAuthority("ecdsa-p256", { commonName })).certificatePem
    ),
  );
  const [one = "", two = "", three = ""] = pems;
  const merged = mergeTrustBundles([`# a comment\n${two}${one}`, `${one}\nbetween\n${three}`]);
  assert.equal(merged, [...pems].sort().join(""));
  assert.equal(mergeTrustBundles([three, one, two.replaceAll("\n", "\r\n")]), merged);
});

test("mergeTrustBundles() of bundles without certificates is empty", () => {
  for (const bundles of [[], [""], ["no certificate", "-----BEGIN CERTIFICATE-----\nbroken"]]) {
    assert.equal(mergeTrustBundles(bundles), "");
  }
});

test("describeTrustBundle() counts the certificates, and finds the end of the first one", async () => {
  const [long, short] = await Promise.all(
    [100, 5].map((hours) => createTestAuthority("ecdsa-p256", { notAfter: hoursFromNow(hours) })),
  );
  const unreadable = encodePem("CERTIFICATE", Uint8Array.of(0x30, 0x00));
  assert.deepEqual(describeTrustBundle(`${long?.certificatePem}${unreadable}${short?.certificatePem}`), {
    certificates: 3,
    firstNotAfter: hoursFromNow(5),
  });
  assert.deepEqual(describeTrustBundle(unreadable), { certificates: 1, firstNotAfter: undefined });
});

test("decideTrust() trusts exactly the CAs of the bundles, and keeps those of a client that gets none", async () => {
  const [one, two, three] = await Promise.all(
    ["one", "two", "three"].map((commonName) => createTestAuthority("ecdsa-p256", { commonName })),
  );
  const pem = (...authorities: readonly (typeof one)[]) => authorities.map((ca) => ca?.certificatePem).join("text\n");
  const fingerprints = (...authorities: readonly (typeof one)[]) =>
    authorities.map((ca) => ca?.certificate.sha256Fingerprint).sort();
  assert.deepEqual(decideTrust(pem(one, two), [pem(two), pem(one, two)]), {
    kind: "same",
    fingerprints: fingerprints(one, two),
  });
  assert.deepEqual(decideTrust(pem(one, two), [pem(two, three)]), {
    kind: "changed",
    pem: mergeTrustBundles([pem(two, three)]),
    fingerprints: fingerprints(two, three),
    added: 1,
    removed: 1,
  });
  assert.deepEqual(decideTrust("", [pem(one)]), {
    kind: "changed",
    pem: pem(one),
    fingerprints: fingerprints(one),
    added: 1,
    removed: 0,
  });
  assert.deepEqual(decideTrust(pem(one), []), { kind: "refused", reason: "there is no bundle" });
  assert.deepEqual(decideTrust(pem(one), [pem(two), "-----BEGIN CERTIFICATE-----\n"]), {
    kind: "refused",
    reason: "PEM block 1 is malformed",
  });
});

test("decideTrust() refuses more CAs than a handshake should compare", async () => {
  const authority = await createTestAuthority();
  const pems = await Promise.all(
    Array.from(
      { length: MAX_TRUSTED + 1 },
      async (_, index) => (await createIntermediate(authority, `ca ${index}`)).certificatePem,
    ),
  );
  const all = decideTrust("", [pems.join("")]);
  assert.deepEqual(all, { kind: "refused", reason: "101 CAs, at most 100 are allowed" });
  assert.equal(decideTrust("", pems.slice(1)).kind, "changed");
});

test("findCertificates() ignores everything but valid certificates", async () => {
  const { certificate, certificatePem, privateKey } = await createTestAuthority();
  const broken = encodePem("CERTIFICATE", Uint8Array.of(0x30, 0x00));
  const found = findCertificates(privateKey.toPem() + broken + encodePem("OTHER", certificate.der) + certificatePem);
  assert.deepEqual(found.map(({ sha256Fingerprint }) => sha256Fingerprint), [certificate.sha256Fingerprint]);
});

test("parseAuthorityChain() names the certificate with a fault, unless it is the CA itself", async () => {
  const root = await createTestAuthority();
  const below = await createIntermediate(root, "below", { maxPathLength: 0 });
  const lowest = await createIntermediate(below, "lowest");
  const parse = (...pems: readonly string[]) => parseAuthorityChain(pems.join(""));
  const chain = parse(below.certificatePem, root.certificatePem);
  assert.deepEqual(chain, { ok: true, value: { certificate: below.certificate, issuers: [root.certificate] } });
  assert.deepEqual(parse(lowest.certificatePem, below.certificatePem), {
    ok: false,
    error: 'certificate 2 "CN=below": its path length 0 does not allow the 1 CA before it',
  });
  const damaged = root.certificate.der.with(-1, root.certificate.der.at(-1)! ^ 1);
  const damage = "its signature is not by its own key: the certificate was modified";
  assert.deepEqual(parse(encodePem("CERTIFICATE", damaged)), { ok: false, error: damage });
  assert.deepEqual(parse(below.certificatePem, encodePem("CERTIFICATE", damaged)), {
    ok: false,
    error: `certificate 2 "CN=kubernetes": ${damage}`,
  });
});
