import assert from "node:assert/strict";
import { test } from "node:test";
import { createIssuingCa } from "../../../tests/support/issuing_ca.ts";
import { parseCaBundle } from "../x509/ca_bundle.ts";
import { parsePublicKeyPin, publicKeyPin } from "./key_names.ts";

test("parsePublicKeyPin() reads the output of publicKeyPin(), also in capitals", async () => {
  const bundle = parseCaBundle((await createIssuingCa(new Date("2026-01-01T00:00:00Z"))).caPem);
  assert.ok(bundle.ok && bundle.value[0] !== undefined);
  const pin = publicKeyPin(bundle.value[0]);
  assert.deepEqual(parsePublicKeyPin(pin), { ok: true, value: pin });
  assert.deepEqual(parsePublicKeyPin(pin.toUpperCase()), { ok: true, value: pin });
});

for (
  const text of ["", "0".repeat(64), `sha1:${"0".repeat(64)}`, `sha256:${"0".repeat(63)}`, `sha256:${"g".repeat(64)}`]
) {
  test(`parsePublicKeyPin() refuses "${text.slice(0, 20)}"`, () => assert.equal(parsePublicKeyPin(text).ok, false));
}
