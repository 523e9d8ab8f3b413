import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestAuthority } from "../../../tests/support/test_authority.ts";
import { signText, verifyText } from "./signed_text.ts";

test("verifyText() accepts a signature for its text, its purpose and its key only", async () => {
  const [ca, other] = [await createTestAuthority(), await createTestAuthority()];
  const { publicKey } = ca.certificate;
  const signature = await signText("register seal", ca.key, "1\n");
  assert.equal(verifyText("register seal", publicKey, "1\n", signature), true);
  assert.equal(verifyText("register seal", publicKey, "2\n", signature), false);
  assert.equal(verifyText("bundle of answers", publicKey, "1\n", signature), false);
  assert.equal(verifyText("register seal", other.certificate.publicKey, "1\n", signature), false);
  assert.equal(verifyText("register seal", { ...publicKey, algorithm: "DSA" }, "1\n", signature), false);
});
