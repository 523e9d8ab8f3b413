import assert from "node:assert/strict";
import { test } from "node:test";
import type { SecretObject } from "../kube/core_v1.ts";
import { decideTokenCleaning, parseRfc3339 } from "./token_cleaning.ts";

const NOW = new Date("2026-06-01T00:00:00Z");

function secretWith(expiration: string | undefined, edit: Partial<SecretObject> = {}): SecretObject {
  const data = expiration === undefined ? {} : { expiration: Buffer.from(expiration).toString("base64") };
  return {
    metadata: { name: "bootstrap-token-abcdef", namespace: "kube-system" },
    data,
    type: "bootstrap.kubernetes.io/token",
    ...edit,
  };
}

for (
  const { name, secret, want } of [
    { name: "no expiration", secret: secretWith(undefined), want: { kind: "keep" } },
    { name: "an empty expiration", secret: secretWith(""), want: { kind: "keep" } },
    { name: "expired", secret: secretWith("2009-01-01T00:00:00Z"), want: { kind: "delete" } },
    { name: "expires now", secret: secretWith("2026-06-01T00:00:00Z"), want: { kind: "delete" } },
    { name: "expires later", secret: secretWith("2026-06-01T00:00:01Z"), want: { kind: "later", ms: 1000 } },
    { name: "another zone", secret: secretWith("2026-06-01T02:00:01+02:00"), want: { kind: "later", ms: 1000 } },
    { name: "no time at all", secret: secretWith("tomorrow"), want: { kind: "delete" } },
    {
      name: "bytes that are no base64",
      secret: secretWith("x", { data: { expiration: "*" } }),
      want: { kind: "delete" },
    },
    { name: "another type", secret: secretWith("2009-01-01T00:00:00Z", { type: "Opaque" }), want: { kind: "keep" } },
    {
      name: "another namespace",
      secret: secretWith("2009-01-01T00:00:00Z", { metadata: { name: "x", namespace: "default" } }),
      want: { kind: "keep" },
    },
  ]
) {
  test(`decideTokenCleaning() answers ${want.kind}: ${name}`, () => {
    assert.deepEqual(decideTokenCleaning(secret, NOW), want);
  });
}

for (
  const { text, want } of [
    { text: "2026-06-01T00:00:00Z", want: "2026-06-01T00:00:00.000Z" },
    { text: "2026-06-01T00:00:00.123456789Z", want: "2026-06-01T00:00:00.123Z" },
    { text: "2026-06-01T00:00:00-01:30", want: "2026-06-01T01:30:00.000Z" },
    { text: "2026-02-30T00:00:00Z", want: undefined },
    { text: "2026-06-01 00:00:00Z", want: undefined },
    { text: "2026-06-01", want: undefined },
    { text: "2026-06-01T00:00:00", want: undefined },
    { text: "2026-06-01T25:00:00Z", want: undefined },
    { text: "1 June 2026", want: undefined },
  ]
) {
  test(`parseRfc3339() reads ${text} as ${want ?? "nothing"}`, () => {
    assert.equal(parseRfc3339(text)?.toISOString(), want);
  });
}
