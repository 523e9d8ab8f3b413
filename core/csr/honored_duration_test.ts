import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, toBase64 } from "../../tests/support/csr_builder.ts";
import { createSigningCa, issueClientCertificate } from "../../tests/support/signing_ca.ts";
import { classifyDuration } from "./honored_duration.ts";

const HOUR = 3600;
const NOW = new Date("2026-11-25T12:00:00Z");

// The upstream integration test: signing duration 24 h, seven requests that ask, six that get what they asked for.
for (
  const { requested, given, want } of [
    { requested: undefined, given: 24 * HOUR, want: "unasked" },
    { requested: 24 * HOUR, given: 24 * HOUR, want: "honored" },
    { requested: 48 * HOUR, given: 24 * HOUR, want: "ignored" },
    { requested: 20 * HOUR, given: 20 * HOUR, want: "honored" },
    { requested: 10 * HOUR, given: 10 * HOUR, want: "honored" },
    { requested: 2 * HOUR, given: 2 * HOUR + 300, want: "honored" },
    { requested: 1800, given: 2100, want: "honored" },
    { requested: 600, given: 900, want: "honored" },
    { requested: 600, given: 931, want: "ignored" },
  ] as const
) {
  test(`classifyDuration() calls ${given} s for ${requested} s ${want}`, async () => {
    const ca = await createSigningCa();
    const notAfter = new Date(NOW.getTime() + given * 1000);
    const certificate = toBase64(await issueClientCertificate(ca, NOW, notAfter));
    const csr = await buildCsr({ certificate, ...(requested === undefined ? {} : { expirationSeconds: requested }) });
    assert.equal(classifyDuration(csr), want);
  });
}

test("classifyDuration() asks nothing of a certificate that cannot be read", async () => {
  assert.equal(classifyDuration(await buildCsr({ expirationSeconds: 600, certificate: "AAAA" })), "unasked");
  assert.equal(classifyDuration(await buildCsr({ expirationSeconds: 600 })), "unasked");
});
