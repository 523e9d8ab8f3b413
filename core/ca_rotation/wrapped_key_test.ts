import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { generatePrivateKey } from "../pki/keys/keys.ts";
import { createWrappedKeySecret, findWrappedKey, unwrapKey, wrapKey } from "./wrapped_key.ts";

const random = createSeededRandom(1);
const tokenKey = (await generatePrivateKey("rsa-2048")).toPem();
const otherKey = (await generatePrivateKey("ecdsa-p256")).toPem();

test("a wrapped key travels in a Secret and opens with the same token key, whatever its line ends", () => {
  const wrapped = wrapKey("the key\n", tokenKey, random);
  assert.ok(wrapped.ok);
  assert.ok(!Buffer.from(wrapped.value, "base64").includes("the key"));
  const found = findWrappedKey(createWrappedKeySecret("ca", wrapped.value));
  assert.equal(found, wrapped.value);
  assert.deepEqual(unwrapKey(wrapped.value, tokenKey.replaceAll("\n", "\r\n")), { ok: true, value: "the key\n" });
});

test("a wrapped key does not open with another token key, changed, or cut", () => {
  const wrapped = wrapKey("the key\n", tokenKey, random);
  assert.ok(wrapped.ok);
  const bytes = Buffer.from(wrapped.value, "base64");
  bytes[bytes.length - 1]! ^= 1;
  const why = { ok: false, error: "it was encrypted with another key of service account tokens, or it was changed" };
  assert.deepEqual(unwrapKey(wrapped.value, otherKey), why);
  assert.deepEqual(unwrapKey(bytes.toString("base64"), tokenKey), why);
  assert.deepEqual(unwrapKey(wrapped.value.slice(0, 40), tokenKey), { ok: false, error: "it is not a wrapped key" });
  assert.match(JSON.stringify(wrapKey("x", "no key", random)), /the key of service account tokens is not usable/);
});
