import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { createCsrName, createNodeCsrName, type CsrNameParts, type NodeCsrNameParts } from "./csr_name.ts";
import fc, { anyText } from "../../tests/support/properties.ts";

/** A test vector that was computed independently of this code, with Go's `crypto/sha512`. */
const VECTOR: NodeCsrNameParts = {
  publicKeyDer: Buffer.from(
    "3059301306072a8648ce3d020106082a8648ce3d030107034200041d7fc4f9bb098a6fee8e3d4d07e02b713a432aeac12a36034d39effa48" +
      "3de042f286253ee39d9a3005a0739972fb52265b7f525a8dc722017fd9e88ff66dc426",
    "hex",
  ),
  commonName: "system:node:n1",
  organizations: ["system:nodes"],
  usages: ["digital signature", "client auth"],
};

test("createNodeCsrName() gives the published name", () => {
  assert.equal(createNodeCsrName(VECTOR), "node-csr-BVGytUJxQcXTz8iWC7wNqqHnVoMoa1BXbYoT2qQVsoE");
});

for (
  const { name, edit } of [
    { name: "key", edit: { publicKeyDer: Uint8Array.of(1) } },
    { name: "common name", edit: { commonName: "system:node:n2" } },
    { name: "organizations", edit: { organizations: ["system:nodes", "x"] } },
    { name: "order of usages", edit: { usages: ["client auth", "digital signature"] } },
  ] satisfies { name: string; edit: Partial<NodeCsrNameParts> }[]
) {
  test(`createNodeCsrName() depends on the ${name}`, () => {
    assert.notEqual(createNodeCsrName({ ...VECTOR, ...edit }), createNodeCsrName(VECTOR));
  });
}

const parts: CsrNameParts = {
  title: "web.example.com",
  signedDer: Uint8Array.of(1, 2, 3),
  signerName: "example.com/x",
  usages: ["digital signature", "server auth"],
};

test("createCsrName() is the same for the same request, and begins with its title", () => {
  assert.match(createCsrName(parts), /^web-example-com-[0-9a-f]{20}$/);
  assert.equal(createCsrName(parts), createCsrName({ ...parts }));
});

for (
  const [name, edit] of Object.entries<Partial<CsrNameParts>>({
    "another key, subject or name": { signedDer: Uint8Array.of(1, 2, 4) },
    "another signer": { signerName: "example.com/y" },
    "another usage": { usages: ["digital signature"] },
    "usages joined differently": { usages: ["digital signature,server auth"] },
    "a duration": { expirationSeconds: 3600 },
    "the renewal of a certificate": { replaces: "ab" },
  })
) {
  test(`createCsrName() differs for ${name}`, () => {
    assert.notEqual(createCsrName({ ...parts, ...edit }), createCsrName(parts));
  });
}

test("createCsrName() is a DNS label whatever the title", () => {
  fc.assert(fc.property(anyText(), (title) => {
    assert.match(createCsrName({ ...parts, title }), /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])$/);
  }));
});
