import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { compareBytes } from "./byte_order.ts";

test("compareBytes() orders texts as their UTF-8 bytes, also behind long equal beginnings", () => {
  const start = fc.constantFrom("", "/registry/secrets/kube-system/", "/registry/\u{e000}\u{10000}/");
  const end = fc.string({
    unit: fc.constantFrom("a", "b", "\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{10000}"),
    maxLength: 4,
  });
  fc.assert(fc.property(start, end, end, (beginning, left, right) => {
    const [a, b] = [beginning + left, beginning + right];
    assert.equal(Math.sign(compareBytes(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)), `${a} ${b}`);
  }));
});
