import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { findCurve, isPointOnCurve } from "./curves.ts";

for (
  const [name, oid, namedCurve] of [
    ["P-224", "1.3.132.0.33", "secp224r1"],
    ["P-256", "1.2.840.10045.3.1.7", "prime256v1"],
    ["P-384", "1.3.132.0.34", "secp384r1"],
    ["P-521", "1.3.132.0.35", "secp521r1"],
  ] as const
) {
  test(`isPointOnCurve() accepts a key of ${name}, and no neighbour`, () => {
    const curve = findCurve(oid);
    assert.ok(curve?.name === name);
    const { publicKey } = generateKeyPairSync("ec", { namedCurve });
    const spki = publicKey.export({ format: "der", type: "spki" });
    const point = new Uint8Array(spki.subarray(-2 * curve.size - 1));
    const number = (start: number): bigint =>
      BigInt(`0x${Buffer.from(point).toString("hex", start, start + curve.size)}`);
    const [x, y] = [number(1), number(1 + curve.size)];
    const encode = (x: bigint, y: bigint): Uint8Array =>
      Buffer.from("04" + [x, y].map((part) => part.toString(16).padStart(curve.size * 2, "0")).join(""), "hex");
    assert.equal(isPointOnCurve(curve, point), true);
    assert.equal(isPointOnCurve(curve, encode(x, curve.p - y)), true);
    assert.equal(isPointOnCurve(curve, encode(x, y === 0n ? 1n : y - 1n)), false);
    assert.equal(isPointOnCurve(curve, point.subarray(1)), false);
    assert.equal(isPointOnCurve(curve, encode(0n, 0n)), false);
    // P-521 has bits to spare for a number that is too large.
    assert.equal(isPointOnCurve(curve, encode(x + curve.p, y)), false);
    assert.equal(isPointOnCurve(curve, encode(x, y + curve.p)), false);
    assert.equal(isPointOnCurve(curve, point.with(0, 2)), false);
  });
}
