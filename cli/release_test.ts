import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { parseMinisignKey, verifyMinisign } from "./release.ts";

// Made by minisign 0.11 with a key that was thrown away.
const KEY = "RWQo6KFamRrUikXNyWIvFjj4vMdWbhhYxyD7DvQtCZJ4nj25yj2kkI8E";
const FILE = Buffer.from("hello\n");
const SIGNATURE = `untrusted comment: signature from minisign secret key
RUQo6KFamRrUiiLkErbpDqRNIj7igUq78LywUU7cX/3d2j1sEwhPcE8vxQWhB3QEt2UAXE8HzUau7A/NXv19xTntZNWyumzO9wc=
trusted comment: tlsboot 0.1.0
Q1HEG0AGG6JmbA+VlJq7NLXaGePN/m3EOAIfQZCo1u+WU0C2j78oYJzKVbxNzJezCUMzMmFlHKD/qhwnokNcCg==
`;

function parse(text: string) {
  const parsed = parseMinisignKey(text);
  assert.ok(parsed.ok);
  return parsed.value;
}

test("verifyMinisign() returns the trusted comment of a genuine signature", () => {
  const key = parse(`untrusted comment: minisign public key 8AD41A995AA1E828\n${KEY}\n`);
  assert.equal(key.id, "8AD41A995AA1E828");
  assert.deepEqual(verifyMinisign(FILE, SIGNATURE, key), { ok: true, value: "tlsboot 0.1.0" });
});

const otherKey = KEY.replace("RWQo6", "RWQp6");
for (
  const { name, file = FILE, signature = SIGNATURE, key = KEY, want } of [
    { name: "a changed file", file: Buffer.from("hallo\n"), want: /does not match the file/ },
    { name: "a changed comment", signature: SIGNATURE.replace("0.1.0", "0.2.0"), want: /does not match the file/ },
    {
      name: "a changed signature",
      signature: SIGNATURE.replace("RUQo6KFamRrUiiLk", "RUQo6KFamRrUiiLl"),
      want: /does not match the file/,
    },
    {
      name: "a changed signature of the comment",
      signature: SIGNATURE.replace("Q1HE", "Q2HE"),
      want: /does not match/,
    },
    {
      name: "no signature of the comment",
      signature: SIGNATURE.split("\n").slice(0, 3).join("\n"),
      want: /does not match the file/,
    },
    { name: "another key", key: otherKey, want: /by the key 8AD41A995AA1E828, not by 8AD41A995AA1E829/ },
    { name: "the legacy form", signature: SIGNATURE.replace("RUQo6", "RWQo6"), want: /0\.10 or newer/ },
    { name: "an empty file", signature: "", want: /0\.10 or newer/ },
  ]
) {
  test(`verifyMinisign() refuses ${name}`, () => {
    const verified = verifyMinisign(file, signature, parse(key));
    assert.ok(!verified.ok);
    assert.match(verified.error, want);
  });
}

test("parseMinisignKey() refuses other text", () => {
  for (const text of ["", "RWQ", `${KEY}${KEY}`, SIGNATURE, "ssh-ed25519 AAAA"]) {
    assert.ok(!parseMinisignKey(text).ok, text);
  }
});
