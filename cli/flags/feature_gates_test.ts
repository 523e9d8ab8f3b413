import assert from "node:assert/strict";
import { test } from "node:test";
import { allowsMlDsa, checkGivenKey, checkKeyAlgorithm } from "../../instance/feature_gates.ts";
import { FEATURE_GATES_FLAG } from "./feature_gates.ts";

for (
  const { texts, want } of [
    { texts: ["MLDSA=true"], want: true },
    { texts: ["MLDSA=false"], want: false },
    { texts: ["MLDSA=true", "MLDSA=false"], want: false },
    { texts: ["MLDSA=false,MLDSA=true"], want: true },
    { texts: ["MLDSA"], want: undefined },
    { texts: ["MLDSA=yes"], want: undefined },
    { texts: ["AllAlpha=true"], want: undefined },
  ]
) {
  test(`--feature-gates ${texts.join(" ")} ${want === undefined ? "is refused" : `allows ML-DSA: ${want}`}`, () => {
    const gates = FEATURE_GATES_FLAG.parse(texts);
    if (want !== undefined) return assert.equal(allowsMlDsa(gates.ok ? gates.value : []), want);
    assert.deepEqual(gates, { ok: false, error: "want MLDSA=true or MLDSA=false" });
  });
}

test("checkKeyAlgorithm() and checkGivenKey() refuse ML-DSA keys only, and without the gate only", () => {
  const [closed, open] = [[], [{ name: "MLDSA", isOn: true }]] as const;
  checkKeyAlgorithm("ed25519", closed);
  checkGivenKey("ECDSA", closed, "key");
  checkKeyAlgorithm("ml-dsa-87", open);
  checkGivenKey("ML-DSA-87", open, "key");
  assert.throws(() => checkKeyAlgorithm("ml-dsa-87", closed), {
    code: "usage",
    message: "the setting keyAlgorithm ml-dsa-87 needs the setting featureGates=MLDSA=true",
  });
  assert.throws(() => checkGivenKey("ML-DSA-87", closed, "key"), {
    code: "usage",
    message: "the setting key: the key is ML-DSA-87, which needs the setting featureGates=MLDSA=true",
  });
});
