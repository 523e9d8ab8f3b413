import assert from "node:assert/strict";
import { test } from "node:test";
import { secretKind } from "../kinds/mod.ts";
import { encodeObject, jsonBytes, jsonText } from "./encode.ts";

test("encodeObject() puts kind and apiVersion first, also if the object has others", () => {
  const object = { metadata: { name: "a" }, kind: "Wrong", apiVersion: "v9" };
  assert.equal(
    JSON.stringify(encodeObject(secretKind, object)),
    '{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"}}',
  );
  assert.equal(object.kind, "Wrong");
  const list = encodeObject({ kind: "SecretList", apiVersion: "v1" }, { metadata: {}, items: [] });
  assert.equal(JSON.stringify(list), '{"kind":"SecretList","apiVersion":"v1","metadata":{},"items":[]}');
});

test("jsonText() escapes as Go's encoder does", () => {
  assert.equal(jsonText({ a: "<b> & \u2028\u2029é" }), '{"a":"\\u003cb\\u003e \\u0026 \\u2028\\u2029é"}');
  assert.deepEqual(JSON.parse(jsonText({ a: "<&>" })), { a: "<&>" });
});

test("jsonBytes() returns UTF-8 without a line break", () => {
  assert.deepEqual([...jsonBytes("é")], [0x22, 0xc3, 0xa9, 0x22]);
});
