import assert from "node:assert/strict";
import { test } from "node:test";
import { allowsMlDsa } from "../../instance/feature_gates.ts";
import { FEATURE_GATES_FLAG } from "./server.ts";

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
