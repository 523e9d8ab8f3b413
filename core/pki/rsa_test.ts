import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { craftRsaKey } from "../../tests/support/crafted_rsa.ts";
import { sharedKey } from "../../tests/support/csr_builder.ts";
import { parsePublicKey } from "./public_key.ts";
import { verifyRsa } from "./rsa.ts";

const DATA = new TextEncoder().encode("data");

function hashMessage(hash: string): Uint8Array {
  return createHash(hash).update(DATA).digest();
}

for (const hash of ["sha1", "sha256", "sha384", "sha512"] as const) {
  test(`verifyRsa() agrees with the runtime about ${hash}`, async () => {
    const key = await sharedKey("rsa-2048");
    const { keyBytes } = parsePublicKey(key.publicKeyDer());
    const signature = key.sign(DATA, hash);
    assert.equal(verifyRsa(keyBytes, hash, hashMessage(hash), signature), true);
    const other = hash === "sha1" ? "sha256" : "sha1";
    assert.equal(verifyRsa(keyBytes, other, hashMessage(other), signature), false);
    assert.equal(verifyRsa(keyBytes, hash, hashMessage(hash).map((byte) => byte ^ 1), signature), false);
  });
}

test("verifyRsa() refuses signatures that are shorter, longer, changed, or no number of the key", async () => {
  const key = await sharedKey("rsa-2048");
  const { keyBytes } = parsePublicKey(key.publicKeyDer());
  const good = key.sign(DATA, "sha256");
  const changed = good.slice();
  changed[255] = (changed[255] ?? 0) ^ 1;
  const bad = [new Uint8Array(0), good.slice(1), Uint8Array.of(0, ...good), changed, new Uint8Array(256).fill(0xff)];
  for (const signature of bad) assert.equal(verifyRsa(keyBytes, "sha256", hashMessage("sha256"), signature), false);
});

test("verifyRsa() verifies with a key that no runtime generates", () => {
  const key = craftRsaKey(7_680);
  const { keyBytes } = parsePublicKey(key.publicKeyDer());
  assert.equal(verifyRsa(keyBytes, "sha256", hashMessage("sha256"), key.sign(DATA)), true);
});

test("verifyRsa() requires padding up to the end, so that exponent 3 allows no forgery", () => {
  const { keyBytes } = parsePublicKey(craftRsaKey(2_048, 3n).publicKeyDer());
  // Bleichenbacher's forgery: the cube of a small number begins like padding, and garbage follows the digest.
  const info = "3031300d060960864801650304020105000420";
  const digest = [...hashMessage("sha256")].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const size = modulusSize(keyBytes);
  const start = `0001${"ff".repeat(8)}00${info}${digest}`;
  const root = cubeRoot(BigInt(`0x${start.padEnd(size * 2, "0")}`)) + 1n;
  const signature = Uint8Array.from(
    root.toString(16).padStart(size * 2, "0").match(/../g) ?? [],
    (pair) => Number.parseInt(pair, 16),
  );
  assert.ok((root ** 3n).toString(16).padStart(size * 2, "0").startsWith(start), "it begins as it should");
  assert.equal(verifyRsa(keyBytes, "sha256", hashMessage("sha256"), signature), false);
});

/** SEQUENCE with a length of two bytes, then INTEGER with one, and a zero in front. */
function modulusSize(keyBytes: Uint8Array): number {
  return (keyBytes[6] ?? 0) * 256 + (keyBytes[7] ?? 0) - (keyBytes[8] === 0 ? 1 : 0);
}

function cubeRoot(number: bigint): bigint {
  let [low, high] = [0n, number];
  while (low < high) {
    const middle = (low + high + 1n) / 2n;
    if (middle ** 3n <= number) low = middle;
    else high = middle - 1n;
  }
  return low;
}
