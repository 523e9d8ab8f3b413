import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import fc, { anyText } from "../../tests/support/properties.ts";
import { refusable } from "../../tests/support/describe_refusal.ts";
import { encodeContinue, parseContinue } from "./continue_token.ts";

const INVALID = "invalid continue token: continue key is not valid";
const VERSION = `${INVALID}: server does not recognize this encoded version `;
const TYPE = `${INVALID}: json: cannot unmarshal`;

function encodeToken(json: string): string {
  return Buffer.from(json).toString("base64url");
}

for (
  const [json, message] of [
    ['{"v":"x"}', `${VERSION}x`],
    ['{"v":{"toString":1}}', `${TYPE} object into Go struct field continueToken.v of type string`],
    [
      `{"v":${"[".repeat(9000)}${"]".repeat(9000)}}`,
      `${TYPE} array into Go struct field continueToken.v of type string`,
    ],
    ["[]", `${TYPE} array into Go value of type storage.continueToken`],
    ["null", VERSION],
    ['{"rv":1.5}', `${TYPE} number 1.5 into Go struct field continueToken.rv of type int64`],
    ['{"V":"meta.k8s.io/v1","RV":0}', `${INVALID}: incorrect encoded start resourceVersion (version meta.k8s.io/v1)`],
    ['{"v":"meta.k8s.io/v1","rv":7}', `${INVALID}: encoded start key empty (version meta.k8s.io/v1)`],
    ['{"v":"meta.k8s.io/v1","rv":7,"start":"/../x"}', `${INVALID}: /../x`],
  ] as const
) {
  test(`parseContinue() refuses ${json.slice(0, 30)}`, () => {
    assert.throws(() => parseContinue(encodeToken(json)), { message });
  });
}

test("parseContinue() refuses text that is not base64", () => {
  const message = `${INVALID}: illegal base64 data at input byte 0`;
  for (const text of ["x", "!!!"]) assert.throws(() => parseContinue(text), { message });
});

test("parseContinue() reads the output of encodeContinue()", () => {
  const key = fc.array(fc.stringMatching(/^[a-z0-9.:-]+$/).filter((part) => !/^\.+$/.test(part)), { minLength: 1 });
  fc.assert(
    fc.property(fc.integer().filter((revision) => revision !== 0), key, fc.boolean(), (revision, parts, rooted) => {
      const token = { revision, start: `${parts.join("/")}\u0000` };
      assert.deepEqual(parseContinue(encodeContinue(token, { rooted })), token);
    }),
  );
});

test("parseContinue() refuses with a 4xx, whatever the token", () => {
  fc.assert(fc.property(fc.oneof(anyText(), fc.json().map(encodeToken)), (text) => {
    refusable(() => parseContinue(text));
  }));
});
