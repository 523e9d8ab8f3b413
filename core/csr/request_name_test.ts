import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createRequestName, type RequestNameParts } from "./request_name.ts";

const parts: RequestNameParts = {
  title: "web.example.com",
  signedDer: Uint8Array.of(1, 2, 3),
  signerName: "example.com/x",
  usages: ["digital signature", "server auth"],
};

test("createRequestName() is the same for the same request, and begins with its title", () => {
  assert.match(createRequestName(parts), /^web-example-com-[0-9a-f]{20}$/);
  assert.equal(createRequestName(parts), createRequestName({ ...parts }));
});

for (
  const [name, edit] of Object.entries<Partial<RequestNameParts>>({
    "another key, subject or name": { signedDer: Uint8Array.of(1, 2, 4) },
    "another signer": { signerName: "example.com/y" },
    "another usage": { usages: ["digital signature"] },
    "usages joined differently": { usages: ["digital signature,server auth"] },
    "a duration": { expirationSeconds: 3600 },
    "the renewal of a certificate": { replaces: "ab" },
  })
) {
  test(`createRequestName() differs for ${name}`, () => {
    assert.notEqual(createRequestName({ ...parts, ...edit }), createRequestName(parts));
  });
}

test("createRequestName() is a DNS label whatever the title", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (title) => {
    assert.match(createRequestName({ ...parts, title }), /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])$/);
  }));
});
