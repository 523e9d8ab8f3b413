import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { createDigestCsrName, type CsrNameParts } from "./csr_name.ts";

/** A test vector that was computed independently of this code, with Go's `crypto/sha512`. */
const VECTOR: CsrNameParts = {
  publicKeyDer: Buffer.from(
    "3059301306072a8648ce3d020106082a8648ce3d030107034200041d7fc4f9bb098a6fee8e3d4d07e02b713a432aeac12a36034d39effa48" +
      "3de042f286253ee39d9a3005a0739972fb52265b7f525a8dc722017fd9e88ff66dc426",
    "hex",
  ),
  commonName: "system:node:n1",
  organizations: ["system:nodes"],
  usages: ["digital signature", "client auth"],
};

test("createDigestCsrName() gives the published name", () => {
  assert.equal(createDigestCsrName(VECTOR), "node-csr-BVGytUJxQcXTz8iWC7wNqqHnVoMoa1BXbYoT2qQVsoE");
});

for (
  const { name, edit } of [
    { name: "key", edit: { publicKeyDer: Uint8Array.of(1) } },
    { name: "common name", edit: { commonName: "system:node:n2" } },
    { name: "organizations", edit: { organizations: ["system:nodes", "x"] } },
    { name: "order of usages", edit: { usages: ["client auth", "digital signature"] } },
  ] satisfies { name: string; edit: Partial<CsrNameParts> }[]
) {
  test(`createDigestCsrName() depends on the ${name}`, () => {
    assert.notEqual(createDigestCsrName({ ...VECTOR, ...edit }), createDigestCsrName(VECTOR));
  });
}
