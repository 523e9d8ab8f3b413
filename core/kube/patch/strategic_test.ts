import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import type { MessageSchema } from "../schema.ts";
import { configMapKind } from "../kinds/mod.ts";
import { applyStrategicMergePatch, printStrategicPatch } from "./strategic.ts";

const condition: MessageSchema = {
  kind: "message",
  name: "test.Condition",
  fields: {
    type: { number: 1, type: { kind: "string" }, presence: "always" },
    status: { number: 2, type: { kind: "string" }, presence: "omitempty" },
  },
};
const metadata: MessageSchema = {
  kind: "message",
  name: "test.Meta",
  fields: {
    labels: { number: 1, type: { kind: "map", of: { kind: "string" } }, presence: "omitempty" },
    finalizers: {
      number: 2,
      type: { kind: "list", of: { kind: "string" } },
      presence: "omitempty",
      patchStrategy: "merge",
    },
  },
};
const schema: MessageSchema = {
  kind: "message",
  name: "test.Thing",
  fields: {
    metadata: { number: 1, type: metadata, presence: "always" },
    atomic: { number: 2, type: { kind: "list", of: { kind: "string" } }, presence: "omitempty" },
    replaced: {
      number: 3,
      type: metadata,
      presence: "omitempty",
      patchStrategy: "replace",
    },
    conditions: {
      number: 4,
      type: { kind: "list", of: condition },
      presence: "omitempty",
      patchStrategy: "merge,retainKeys",
      patchMergeKey: "type",
    },
    keyless: {
      number: 5,
      type: { kind: "list", of: condition },
      presence: "omitempty",
      patchStrategy: "merge",
    },
  },
};

const A = { type: "A", status: "1" };
const B = { type: "B", status: "1" };
const C = { type: "C", status: "1" };

for (
  const { name, document, patch, want } of [
    {
      name: "merges maps and removes by null",
      document: { metadata: { labels: { a: "1", b: "2" } } },
      patch: { metadata: { labels: { a: null, c: "3" } } },
      want: { metadata: { labels: { b: "2", c: "3" } } },
    },
    { name: "replaces an atomic list", document: { atomic: ["a"] }, patch: { atomic: ["b"] }, want: { atomic: ["b"] } },
    {
      name: "replaces an object whose strategy is replace",
      document: { replaced: { labels: { a: "1" } } },
      patch: { replaced: { finalizers: ["x"] } },
      want: { replaced: { finalizers: ["x"] } },
    },
    {
      name: "merges a list of scalars as a set, the patch's first",
      document: { metadata: { finalizers: ["a", "b"] } },
      patch: { metadata: { finalizers: ["c", "a"] } },
      want: { metadata: { finalizers: ["c", "a", "b"] } },
    },
    {
      name: "merges a list by its key",
      document: { conditions: [A, B] },
      patch: { conditions: [{ type: "B", status: "2" }, C] },
      want: { conditions: [A, { type: "B", status: "2" }, C] },
    },
    {
      name: "deletes an element",
      document: { conditions: [A, B] },
      patch: { conditions: [{ $patch: "delete", type: "A" }] },
      want: { conditions: [B] },
    },
    {
      name: "replaces a whole list",
      document: { conditions: [A, B] },
      patch: { conditions: [{ $patch: "replace" }, C] },
      want: { conditions: [C] },
    },
    {
      name: "replaces a map",
      document: { metadata: { labels: { a: "1" } } },
      patch: { metadata: { labels: { $patch: "replace", b: "2" } } },
      want: { metadata: { labels: { b: "2" } } },
    },
    {
      name: "empties a map",
      document: { metadata: { labels: { a: "1" } } },
      patch: { metadata: { labels: { $patch: "delete" } } },
      want: { metadata: { labels: {} } },
    },
    {
      name: "keeps named keys only",
      document: { metadata: { labels: { a: "1", b: "2" } } },
      patch: { metadata: { labels: { $retainKeys: ["b", "c"], c: "3" } } },
      want: { metadata: { labels: { b: "2", c: "3" } } },
    },
    {
      name: "takes values out of a list of scalars",
      document: { metadata: { finalizers: ["a", "b", "c"] } },
      patch: { metadata: { "$deleteFromPrimitiveList/finalizers": ["b", "x"] } },
      want: { metadata: { finalizers: ["a", "c"] } },
    },
    {
      name: "orders without a change",
      document: { conditions: [A, B, C] },
      patch: { "$setElementOrder/conditions": [{ type: "C" }, { type: "A" }] },
      want: { conditions: [B, C, A] },
    },
    {
      name: "puts the server's own items between",
      document: { conditions: [A, B] },
      patch: { conditions: [C], "$setElementOrder/conditions": [{ type: "A" }, { type: "C" }] },
      want: { conditions: [A, C, B] },
    },
    {
      name: "lets a new element take the place of a deleted one, as upstream's in-place merge does",
      document: { conditions: [A, B] },
      patch: {
        conditions: [{ $patch: "delete", type: "A" }, C],
        "$setElementOrder/conditions": [{ type: "A" }, { type: "C" }],
      },
      want: { conditions: [B, C] },
    },
    {
      name: "cleans new values of nulls and directives",
      document: {},
      patch: { metadata: { labels: { a: null, b: "1" } }, conditions: [{ $patch: "delete", type: "A" }, B] },
      want: { metadata: { labels: { b: "1" } }, conditions: [B] },
    },
    { name: "takes null for absent", document: { atomic: null }, patch: { atomic: ["a"] }, want: { atomic: ["a"] } },
    {
      name: "keeps unknown fields for the decoder",
      document: {},
      patch: { foo: { bar: 1 } },
      want: { foo: { bar: 1 } },
    },
    { name: "deletes everything", document: { atomic: ["a"] }, patch: { $patch: "delete" }, want: {} },
  ]
) {
  test(`applyStrategicMergePatch() ${name}`, () => {
    const before = structuredClone({ document, patch });
    assert.deepEqual(applyStrategicMergePatch(schema, document, patch), { ok: true, value: want });
    assert.deepEqual({ document, patch }, before);
  });
}

for (
  const { document, patch, kind, message } of [
    { document: {}, patch: [], kind: "badRequest", message: "invalid JSON document" },
    {
      document: { metadata: { labels: {} } },
      patch: { metadata: { labels: { $retainKeys: ["a"], b: "1" } } },
      kind: "badRequest",
      message: "invalid patch format of retainKeys",
    },
    {
      document: { metadata: { finalizers: ["a"] } },
      patch: { metadata: { "$deleteFromPrimitiveList": ["a"] } },
      kind: "badRequest",
      message: "invalid patch format of primitive list",
    },
    {
      document: {},
      patch: { "$setElementOrder": [] },
      kind: "badRequest",
      message: "invalid patch format of setElementOrder list",
    },
    {
      document: { conditions: [A] },
      patch: { conditions: [[]] },
      kind: "internal",
      message: "list element types are not identical: [[map[status:1 type:A]] [[]]]",
    },
    {
      document: { atomic: [], conditions: [] },
      patch: { conditions: [[]] },
      kind: "unprocessable",
      message: "lists of lists are not supported",
    },
    {
      document: { conditions: [A] },
      patch: { conditions: [{ status: "2" }] },
      kind: "internal",
      message: "map: map[status:2] does not contain declared merge key: type",
    },
    {
      document: { conditions: [A] },
      patch: { conditions: [{ $patch: "merge", type: "A" }] },
      kind: "internal",
      message: "merging lists cannot yet be specified in the patch",
    },
    {
      document: { metadata: {} },
      patch: { metadata: { $patch: "zap" } },
      kind: "internal",
      message: "unknown patch type: zap in map: map[$patch:zap]",
    },
    {
      document: {},
      patch: { $patch: [null, "a", 5] },
      kind: "internal",
      message: "unknown patch type: [%!s(<nil>) a %!s(int64=5)] in map: map[$patch:[<nil> a 5]]",
    },
    {
      document: {},
      patch: { $patch: null },
      kind: "internal",
      message: "unknown patch type: %!s(<nil>) in map: map[$patch:<nil>]",
    },
    {
      document: { keyless: [A] },
      patch: { keyless: [B] },
      kind: "internal",
      message: "cannot merge lists without merge key for struct",
    },
    {
      document: {},
      patch: { conditions: [B], "$setElementOrder/conditions": [{ type: "A" }] },
      kind: "internal",
      message:
        "The order in patch list:\n[map[status:1 type:B]]\n doesn't match $setElementOrder list:\n[map[type:A]]\n",
    },
    {
      document: {},
      patch: { "$setElementOrder/foo": [] },
      kind: "internal",
      message: 'unable to find api field in struct Thing for the json field "foo"',
    },
  ]
) {
  test(`applyStrategicMergePatch() answers ${kind} to ${JSON.stringify(patch)} on ${JSON.stringify(document)}`, () => {
    assert.deepEqual(applyStrategicMergePatch(schema, document, patch), { ok: false, error: { kind, message } });
  });
}

test("printStrategicPatch() sorts keys by their bytes, as Go does", () => {
  assert.equal(printStrategicPatch({}, { "\u{10000}": 2, "\uffff": 1 }), "map[\uffff:1 \u{10000}:2]");
});

test("applyStrategicMergePatch() returns for any patch", () => {
  const key = fc.constantFrom(
    "metadata",
    "labels",
    "conditions",
    "type",
    "finalizers",
    "$patch",
    "$retainKeys",
    "$setElementOrder/conditions",
    "$deleteFromPrimitiveList/finalizers",
  );
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constantFrom("replace", "delete", "merge", null, 1, true),
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(key, tie("tree"), { maxKeys: 4 }),
    ),
  }));
  fc.assert(fc.property(fc.dictionary(key, tree), fc.dictionary(key, tree), (document, patch) => {
    assert.equal(typeof applyStrategicMergePatch(schema, document, patch).ok, "boolean");
  }));
});

test("applyStrategicMergePatch() merges and deletes tens of thousands of elements, each once", () => {
  const references = Array.from({ length: 60_000 }, (_, index) => ({ uid: `${index}`, name: "a" }));
  const stored = { metadata: { ownerReferences: references } };
  const half = references.slice(30_000);
  const patch = (change: object) => ({ metadata: { ownerReferences: half.map(({ uid }) => ({ uid, ...change })) } });
  const { schema } = configMapKind;
  const renamed = applyStrategicMergePatch(schema, stored, patch({ name: "b" }));
  assert.deepEqual(renamed, {
    ok: true,
    value: {
      metadata: { ownerReferences: [...references.slice(0, 30_000), ...half.map((item) => ({ ...item, name: "b" }))] },
    },
  });
  const deleted = applyStrategicMergePatch(schema, stored, patch({ $patch: "delete" }));
  assert.deepEqual(deleted, { ok: true, value: { metadata: { ownerReferences: references.slice(0, 30_000) } } });
});
