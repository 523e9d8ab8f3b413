import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { createHash, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { decodeUnsignedBigInt, findCurveByName, isPointOnCurve, verifyEcdsa } from "./curves.ts";
import { type Bytes, DerReader, TAG } from "./der.ts";
import { parsePublicKey } from "./public_key.ts";

for (const name of ["P-224", "P-256", "P-384", "P-521"] as const) {
  for (const hash of ["sha256", "sha384", "sha512"]) {
    // The one pair that Deno cannot sign; its verification is covered by OpenSSL's vectors in pkcs10_test.ts.
    if (name === "P-521" && hash === "sha256") continue;
    test(`verifyEcdsa() agrees with node:crypto: ${name}, ${hash}`, () => {
      const curve = findCurveByName(name);
      assert.ok(curve !== undefined);
      const namedCurve = name === "P-224" ? "secp224r1" : name;
      const { privateKey } = generateKeyPairSync("ec", { namedCurve });
      const spki: Bytes = new Uint8Array(createPublicKey(privateKey).export({ format: "der", type: "spki" }));
      const point = parsePublicKey(spki).keyBytes;
      const message = Buffer.from("message");
      const reader = new DerReader(new Uint8Array(sign(hash, message, privateKey))).enter(TAG.sequence, "signature");
      const r = decodeUnsignedBigInt(reader.read(TAG.integer, "r").content);
      const s = decodeUnsignedBigInt(reader.read(TAG.integer, "s").content);
      const digest = createHash(hash).update(message).digest();
      assert.equal(verifyEcdsa(curve, point, digest, r, s), true);
      assert.equal(verifyEcdsa(curve, point, digest, r, s + 1n), false);
      assert.equal(verifyEcdsa(curve, point, createHash(hash).update("other").digest(), r, s), false);
      assert.equal(verifyEcdsa(curve, point, digest, 0n, s), false);
      for (const wrong of [curve.n, s + curve.n, s - curve.n]) {
        assert.equal(verifyEcdsa(curve, point, digest, r, wrong), false);
      }
    });
  }

  test(`isPointOnCurve() accepts the generator of ${name}, and no neighbour`, () => {
    const curve = findCurveByName(name);
    assert.ok(curve !== undefined);
    const encode = (x: bigint, y: bigint): Uint8Array =>
      Buffer.from("04" + [x, y].map((part) => part.toString(16).padStart(curve.size * 2, "0")).join(""), "hex");
    assert.equal(isPointOnCurve(curve, encode(curve.gx, curve.gy)), true);
    assert.equal(isPointOnCurve(curve, encode(curve.gx, curve.gy + 1n)), false);
    assert.equal(isPointOnCurve(curve, encode(curve.gx, curve.gy).subarray(1)), false);
    assert.equal(isPointOnCurve(curve, encode(0n, 0n)), false);
    // P-521 has bits to spare for a number that is too large.
    assert.equal(isPointOnCurve(curve, encode(curve.gx + curve.p, curve.gy)), false);
    assert.equal(isPointOnCurve(curve, encode(curve.gx, curve.gy + curve.p)), false);
    const compressed = encode(curve.gx, curve.gy).with(0, 2);
    assert.equal(isPointOnCurve(curve, compressed), false);
  });
}
