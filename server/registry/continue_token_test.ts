import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { refusable } from "../../tests/support/refusal.ts";
import { encodeContinue, parseContinue } from "./continue_token.ts";

const VERSION = "invalid continue token: continue key is not valid: server does not recognize this encoded version ";

function tokenOf(json: string): string {
  return Buffer.from(json).toString("base64url");
}

for (
  const [json, message] of [
    ['{"v":"x"}', `${VERSION}x`],
    ['{"v":{"toString":1}}', VERSION],
    [`{"v":${"[".repeat(9000)}${"]".repeat(9000)}}`, VERSION],
    ["[]", VERSION],
  ] as const
) {
  test(`parseContinue() refuses the version of ${json.slice(0, 30)}`, () => {
    assert.throws(() => parseContinue(tokenOf(json)), { message });
  });
}

test("parseContinue() reads back what encodeContinue() wrote", () => {
  const key = fc.array(fc.stringMatching(/^[a-z0-9.:-]+$/).filter((part) => !/^\.+$/.test(part)), { minLength: 1 });
  fc.assert(fc.property(fc.integer().filter((revision) => revision !== 0), key, (revision, parts) => {
    const token = { revision, lastKey: parts.join("/") };
    assert.deepEqual(parseContinue(encodeContinue(token)), token);
  }));
});

test("parseContinue() refuses with a 4xx, whatever the token", () => {
  fc.assert(fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.json().map(tokenOf)), (text) => {
    refusable(() => parseContinue(text));
  }));
});
