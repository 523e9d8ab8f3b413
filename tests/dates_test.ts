/** Tests code that formats dates or compares them with the clock, at dates where clocks and formats break. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { parseCertificateChain } from "../core/machine/credential_pair.ts";
import { decideNextStep, decideRenewalDeadline, startRenewal } from "../core/machine/renewal_schedule.ts";
import { decideCleaning } from "../core/request/cleaning.ts";
import { decideTokenCleaning, parseRfc3339 } from "../core/token/token_secret.ts";
import type { SecretObject } from "../core/kube/kinds/core_v1.ts";
import { formatMicroTime, formatTime } from "../core/kube/meta.ts";
import { generatePrivateKey } from "../core/pki/keys/keys.ts";
import { buildCsr, condition } from "./support/csr_builder.ts";
import { createIssuingCa } from "./support/issuing_ca.ts";

const SECOND = 1_000;
const HOUR = 3_600_000;
const YEAR = 365 * 24 * HOUR;

const DATES: readonly { readonly name: string; readonly at: string }[] = [
  { name: "the last second of 32-bit time", at: "2038-01-19T03:14:07Z" },
  { name: "the first second after 32-bit time", at: "2038-01-19T03:14:08Z" },
  { name: "the last second of UTCTime", at: "2049-12-31T23:59:59Z" },
  { name: "the first second of GeneralizedTime", at: "2050-01-01T00:00:00Z" },
  { name: "the second before a leap second", at: "2016-12-31T23:59:59Z" },
  { name: "a leap day", at: "2028-02-29T23:59:59Z" },
  { name: "the end of February in 2100, which is not a leap year", at: "2100-02-28T23:59:59Z" },
  { name: "the end of daylight saving in Berlin", at: "2027-10-31T01:00:00Z" },
];

for (const { name, at } of DATES) {
  const now = new Date(at);
  const later = (ms: number): Date => new Date(now.getTime() + ms);

  test(`certificates begin and end at ${name}, and node:crypto reads the same`, async () => {
    const ca = await createIssuingCa(now);
    const publicKeyDer = (await generatePrivateKey("ecdsa-p256")).publicKeyDer();
    for (const [notBefore, notAfter] of [[later(-YEAR), now], [now, later(YEAR)]] as const) {
      const pem = await ca.issue({ publicKeyDer, notBefore, notAfter });
      const chain = parseCertificateChain(pem);
      assert.ok(chain.ok);
      assert.deepEqual([chain.value[0]?.notBefore, chain.value[0]?.notAfter], [notBefore, notAfter]);
      const native = new X509Certificate(pem);
      assert.deepEqual([new Date(native.validFrom), new Date(native.validTo)], [notBefore, notAfter]);
      assert.ok(native.verify(new X509Certificate(ca.caPem).publicKey));
    }
  });

  test(`renewal is due at the same share of a lifetime that spans ${name}`, () => {
    const validity = { notBefore: later(-HOUR), notAfter: later(HOUR) };
    assert.deepEqual(decideRenewalDeadline(validity, () => 0), later(0.4 * HOUR));
    const names = { commonName: "n", organizations: [], dnsNames: [], ipAddresses: [] };
    const state = startRenewal({ ...validity, ...names }, names, later(-SECOND));
    const step = decideNextStep(state, later(-SECOND), () => 0);
    assert.deepEqual(step.kind === "sleep" && step.until, later(0.4 * HOUR));
    assert.equal(decideNextStep(step.state, later(0.4 * HOUR), () => 0).kind, "request");
  });

  test(`requests and tokens expire to the second across ${name}`, async () => {
    const denied = await buildCsr({ conditions: [condition("Denied", formatTime(now))] });
    assert.equal(decideCleaning(denied, later(HOUR - SECOND)).kind, "keep");
    assert.equal(decideCleaning(denied, later(HOUR + SECOND)).kind, "delete");
    const token: SecretObject = {
      metadata: { name: "bootstrap-token-abcdef", namespace: "kube-system" },
      type: "bootstrap.kubernetes.io/token",
      data: { expiration: Buffer.from(formatTime(now)).toString("base64") },
    };
    assert.deepEqual(decideTokenCleaning(token, later(-YEAR)), { kind: "later", ms: YEAR });
    assert.equal(decideTokenCleaning(token, now).kind, "delete");
    assert.deepEqual(parseRfc3339(formatTime(now)), now);
    assert.equal(formatMicroTime(now), at.replace("Z", ".000000Z"));
  });
}

test("parseRfc3339() refuses the second that a leap second adds, as Go does", () => {
  assert.equal(parseRfc3339("2016-12-31T23:59:60Z"), undefined);
});
