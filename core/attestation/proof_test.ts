import assert from "node:assert/strict";
import { test } from "node:test";
import { describeStoredProof, formatTokenProof, parseTokenProof, readTokenProof } from "./proof.ts";

const PIN = `sha256:${"0a".repeat(32)}`;
const STORED = `tpm ${PIN} 2026-12-02T01:00:00Z`;

test("parseTokenProof() reads what formatTokenProof() wrote, and nothing else", () => {
  const proof = parseTokenProof(STORED);
  assert.deepEqual(proof, { kind: "tpm", key: PIN, at: new Date("2026-12-02T01:00:00Z") });
  assert.equal(formatTokenProof(proof!), STORED);
  for (const text of ["", "tpm", `tpm ${PIN}`, `tpm ${PIN} soon`, `fido ${PIN} 2026-12-02T01:00:00Z`, `${STORED} x`]) {
    assert.equal(parseTokenProof(text), undefined, text);
  }
});

test("readTokenProof() counts a proof only for a token of one node and one key", () => {
  const read = (annotations: Readonly<Record<string, string>>) =>
    readTokenProof({ metadata: { annotations: { "tlsboot/attested": STORED, ...annotations } } })?.kind;
  assert.equal(read({ "tlsboot/node": "n1", "tlsboot/public-key": PIN }), "tpm");
  assert.equal(read({ "tlsboot/node": "n1" }), undefined);
  assert.equal(read({ "tlsboot/public-key": PIN }), undefined);
  assert.equal(read({ "tlsboot/node": "n1", "tlsboot/public-key": "x" }), undefined);
  assert.equal(read({ "tlsboot/node": "n1", "tlsboot/public-key": PIN, "tlsboot/attested": "tpm" }), undefined);
});

test("describeStoredProof() describes the key and the time, and returns other text unchanged", () => {
  assert.equal(describeStoredProof(STORED), `TPM with endorsement key ${PIN}, proven at 2026-12-02T01:00:00Z`);
  assert.equal(describeStoredProof("later"), "later");
});
