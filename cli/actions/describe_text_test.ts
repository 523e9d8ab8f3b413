import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition } from "../../tests/support/csr_builder.ts";
import { describeRequest } from "./describe_text.ts";

const APPROVED = "2026-03-02T10:30:00Z";

for (
  const { name, conditions, seconds, want } of [
    { name: "a pending request", conditions: [], seconds: 60, want: undefined },
    {
      name: "one that was approved a moment ago",
      conditions: [condition("Approved", APPROVED)],
      seconds: 9,
      want: undefined,
    },
    {
      name: "one that was approved a minute ago",
      conditions: [condition("Approved", APPROVED)],
      seconds: 60,
      want: 'approved for 60s, but no signer has issued it: see that a signer for "example.com/web" runs and has a CA',
    },
    {
      name: "one that the signer refused",
      conditions: [condition("Approved", APPROVED), condition("Failed", APPROVED)],
      seconds: 60,
      want: undefined,
    },
    {
      name: "one that was denied",
      conditions: [condition("Denied", APPROVED)],
      seconds: 60,
      want: undefined,
    },
  ]
) {
  test(`describeRequest() ${want === undefined ? "says nothing of a signer of" : "says that no signer issues"} ${name}`, async () => {
    const csr = await buildCsr({ signerName: "example.com/web", conditions });
    const now = new Date(Date.parse(APPROVED) + seconds * 1_000);
    const page = describeRequest(csr, undefined, undefined, now);
    if (want === undefined) assert.match(page, /\nCertificate: +<none>\n$/);
    else assert.ok(page.includes(`\n  ${want}`), page);
  });
}
