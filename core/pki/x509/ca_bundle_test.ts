import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestAuthority, hoursFromNow } from "../../../tests/support/test_authority.ts";
import { encodePem } from "../asn1/pem.ts";
import { describeTrustBundle, mergeTrustBundles } from "./ca_bundle.ts";

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
