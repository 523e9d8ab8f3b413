import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { createFieldSet } from "./field_set.ts";
import { formatFieldsV1, parseFieldsV1 } from "./fields_v1.ts";

// structured-merge-diff `fieldpath/serialize_test.go`, apimachinery `managedfields/internal/fields_test.go`
for (
  const { name, tree, want } of [
    { name: "nothing", tree: {}, want: "{}" },
    { name: "an absent tree", tree: undefined, want: "{}" },
    {
      name: "members and their children",
      tree: { "f:b": {}, "f:a": { "f:x": {}, ".": {} } },
      want: '{"f:a":{".":{},"f:x":{}},"f:b":{}}',
    },
    {
      name: "all types, sorted",
      tree: { "i:1": {}, 'v:"b"': {}, 'v:"a"': {}, 'k:{"name":"c"}': {}, "f:z": {} },
      want: '{"f:z":{},"k:{\\"name\\":\\"c\\"}":{},"v:\\"a\\"":{},"v:\\"b\\"":{},"i:1":{}}',
    },
    {
      name: "elements of unknown types, which go",
      tree: { "x:1": { "f:a": {} }, "f:b": { "x:2": {} } },
      want: '{"f:b":{}}',
    },
    { name: "null below an element", tree: { "f:a": null }, want: '{"f:a":{}}' },
    {
      name: "values under a dot, whatever they are",
      tree: { "f:a": { ".": 5, "f:b": {} } },
      want: '{"f:a":{".":{},"f:b":{}}}',
    },
    {
      name: "two spellings of one key",
      tree: { 'k:{"a":1}': {}, 'k:{ "a":1}': { "f:x": {} } },
      want: '{"k:{\\"a\\":1}":{".":{},"f:x":{}}}',
    },
  ]
) {
  test(`parseFieldsV1() reads ${name}`, () => {
    const set = parseFieldsV1(tree);
    assert.ok(set.ok);
    assert.equal(JSON.stringify(formatFieldsV1(set.value)), want);
  });
}

for (const tree of [1, "x", [], { a: {} }, { "f:a": 5 }, { "f:a": { "k:": {} } }]) {
  test(`parseFieldsV1() refuses ${JSON.stringify(tree)}`, () => assert.equal(parseFieldsV1(tree).ok, false));
}

test("formatFieldsV1() and parseFieldsV1() are inverses", () => {
  const element = fc.constantFrom("f:a", "f:.", "f:b", 'k:{"type":"x"}', 'v:"y"', "i:1");
  fc.assert(fc.property(fc.array(fc.array(element, { minLength: 1, maxLength: 4 })), (paths) => {
    const set = createFieldSet(...paths);
    // A tree from outside, which was not written here.
    const read = parseFieldsV1(structuredClone(formatFieldsV1(set)));
    assert.deepEqual(read, { ok: true, value: set });
  }));
});

test("parseFieldsV1() returns for any tree", () => {
  fc.assert(fc.property(fc.jsonValue(), (tree) => assert.equal(typeof parseFieldsV1(tree).ok, "boolean")));
});
