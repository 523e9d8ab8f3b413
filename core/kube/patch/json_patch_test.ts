import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { applyJsonPatch, applyMergePatch, findUnknownOperationFields } from "./json_patch.ts";

const DOCUMENT = { a: 1, list: [1, 2], deep: { "x/y": "s", "p~q": null } };

for (
  const { name, patch, want } of [
    { name: "adds a member", patch: [{ op: "add", path: "/b", value: 2 }], want: { ...DOCUMENT, b: 2 } },
    { name: "adds null for a missing value", patch: [{ op: "add", path: "/b" }], want: { ...DOCUMENT, b: null } },
    { name: "adds before", patch: [{ op: "add", path: "/list/0", value: 0 }], want: { ...DOCUMENT, list: [0, 1, 2] } },
    { name: "appends", patch: [{ op: "add", path: "/list/-", value: 3 }], want: { ...DOCUMENT, list: [1, 2, 3] } },
    {
      name: "counts from the end",
      patch: [{ op: "replace", path: "/list/-1", value: 9 }],
      want: { ...DOCUMENT, list: [1, 9] },
    },
    { name: "removes", patch: [{ op: "remove", path: "/list/0" }], want: { ...DOCUMENT, list: [2] } },
    {
      name: "replaces a missing member, as kube-apiserver does",
      patch: [{ op: "replace", path: "/new", value: 1 }],
      want: { ...DOCUMENT, new: 1 },
    },
    { name: "replaces the whole", patch: [{ op: "replace", path: "", value: { z: 1 } }], want: { z: 1 } },
    {
      name: "moves",
      patch: [{ op: "move", from: "/a", path: "/list/0" }],
      want: { list: [1, 1, 2], deep: DOCUMENT.deep },
    },
    {
      name: "copies and unescapes",
      patch: [{ op: "copy", from: "/deep/x~1y", path: "/deep/p~0q" }],
      want: { ...DOCUMENT, deep: { "x/y": "s", "p~q": "s" } },
    },
    {
      name: "tests objects in any order",
      patch: [{ op: "test", path: "/deep", value: { "p~q": null, "x/y": "s" } }],
      want: DOCUMENT,
    },
    { name: "tests a missing member against null", patch: [{ op: "test", path: "/zzz", value: null }], want: DOCUMENT },
    { name: "does nothing for an empty patch", patch: [], want: DOCUMENT },
  ]
) {
  test(`applyJsonPatch() ${name}`, () => {
    const before = structuredClone(DOCUMENT);
    const result = applyJsonPatch(DOCUMENT, patch);
    assert.ok(result.ok);
    assert.deepEqual(result.value.value, want);
    assert.deepEqual(DOCUMENT, before);
  });
}

for (
  const { name, operation } of [
    { name: "a failed test", operation: { op: "test", path: "/a", value: 2 } },
    { name: "a missing path", operation: { op: "add", path: "/no/such", value: 1 } },
    { name: "removing a missing member", operation: { op: "remove", path: "/no" } },
    { name: "an index beyond the end", operation: { op: "add", path: "/list/3", value: 1 } },
    { name: "an index that is not a number", operation: { op: "remove", path: "/list/x" } },
    { name: "a step through a scalar", operation: { op: "remove", path: "/a/b" } },
    { name: "moving a missing member", operation: { op: "move", from: "/no", path: "/b" } },
    { name: "no path", operation: { op: "add", value: 1 } },
    { name: "an unknown operation", operation: { op: "zap", path: "/a" } },
    { name: "removing the whole", operation: { op: "remove", path: "" } },
    { name: "replacing the whole by a scalar", operation: { op: "replace", path: "", value: 1 } },
    { name: "a null operation", operation: null },
  ]
) {
  test(`applyJsonPatch() refuses ${name}`, () => {
    const result = applyJsonPatch(DOCUMENT, [operation]);
    assert.equal(result.ok ? "" : result.error.kind, "unprocessable");
  });
}

for (
  const [patch, want] of [
    [{}, "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"],
    [["x"], "error decoding patch: json: cannot unmarshal string into Go value of type handlers.jsonPatchOp"],
    [
      [{ op: 1 }],
      "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string",
    ],
  ] as const
) {
  test(`applyJsonPatch() answers ${JSON.stringify(patch)} with badRequest`, () => {
    assert.deepEqual(applyJsonPatch({}, patch), { ok: false, error: { kind: "badRequest", message: want } });
  });
}

test("applyJsonPatch() accepts 10000 operations and no more", () => {
  const operations = (count: number) => Array.from({ length: count }, () => ({ op: "test", path: "/a", value: 1 }));
  assert.ok(applyJsonPatch({ a: 1 }, operations(10_000)).ok);
  assert.deepEqual(applyJsonPatch({ a: 1 }, operations(10_001)), {
    ok: false,
    error: {
      kind: "tooLarge",
      message: "The allowed maximum operations in a JSON patch is 10000, got 10001",
    },
  });
});

test("applyJsonPatch() stops copies that grow without end", () => {
  const double = Array.from({ length: 40 }, () => ({ op: "copy", from: "/a", path: "/a/-" }));
  const result = applyJsonPatch({ a: ["x".repeat(1000)] }, double);
  assert.equal(result.ok ? "" : result.error.kind, "unprocessable");
});

test("applyJsonPatch() never touches a prototype", () => {
  const patch: unknown = JSON.parse('[{"op":"add","path":"/__proto__","value":{"polluted":true}}]');
  const result = applyJsonPatch({}, patch);
  assert.ok(result.ok);
  assert.equal(JSON.stringify(result.value.value), '{"__proto__":{"polluted":true}}');
  assert.equal("polluted" in {}, false);
});

test("applyJsonPatch() returns for any document and patch", () => {
  const path = fc.array(fc.constantFrom("", "a", "0", "-", "-1", "__proto__")).map((steps) =>
    steps.map((step) => `/${step}`).join("")
  );
  const operation = fc.record({
    op: fc.constantFrom("add", "remove", "replace", "move", "copy", "test"),
    path,
    from: path,
    value: fc.jsonValue(),
  });
  fc.assert(fc.property(fc.jsonValue(), fc.oneof(fc.array(operation), fc.jsonValue()), (document, patch) => {
    assert.equal(typeof applyJsonPatch(document, patch).ok, "boolean");
  }));
});

test("findUnknownOperationFields() reports members that no operation has", () => {
  assert.deepEqual(findUnknownOperationFields([{ op: "add", foo: 1 }, { bar: 2 }]), [
    'json patch unknown field "[0].foo"',
    'json patch unknown field "[1].bar"',
  ]);
});

for (
  const { name, document, patch, want } of [
    { name: "sets and removes", document: { a: 1, b: 2 }, patch: { a: null, c: 3 }, want: { b: 2, c: 3 } },
    { name: "merges objects", document: { a: { x: 1, y: 2 } }, patch: { a: { y: 3 } }, want: { a: { x: 1, y: 3 } } },
    { name: "replaces lists", document: { a: [1, 2] }, patch: { a: [3] }, want: { a: [3] } },
    { name: "drops nulls of new objects", document: {}, patch: { a: { x: null, y: 1 } }, want: { a: { y: 1 } } },
    { name: "replaces a scalar by an object", document: { a: 1 }, patch: { a: { x: null } }, want: { a: {} } },
    { name: "keeps nulls in lists", document: { a: 1 }, patch: { a: [null, { x: null }] }, want: { a: [null, {}] } },
    {
      name: "keeps a list that replaces an object",
      document: { a: {} },
      patch: { a: [{ x: null }] },
      want: { a: [{ x: null }] },
    },
    { name: "ignores the removal of nothing", document: { a: 1 }, patch: { b: null }, want: { a: 1 } },
  ]
) {
  test(`applyMergePatch() ${name}`, () => {
    const before = structuredClone({ document, patch });
    const result = applyMergePatch(document, patch);
    assert.ok(result.ok);
    assert.deepEqual(result.value.value, want);
    assert.deepEqual({ document, patch }, before);
  });
}

for (const patch of [null, 1, "x", true]) {
  test(`applyMergePatch() refuses ${JSON.stringify(patch)}`, () => {
    assert.deepEqual(applyMergePatch({}, patch), {
      ok: false,
      error: { kind: "badRequest", message: "Invalid JSON Patch" },
    });
  });
}

test("applyMergePatch() refuses a patch that is nested too deeply", () => {
  let patch: unknown = {};
  for (let depth = 0; depth < 20_000; depth++) patch = { a: patch };
  assert.equal(applyMergePatch({}, patch).ok, false);
});

test("applyMergePatch() keeps members that the patch does not name", () => {
  const objects = fc.dictionary(fc.string(), fc.jsonValue());
  fc.assert(fc.property(objects, objects, (document, patch) => {
    const result = applyMergePatch(document, patch);
    assert.ok(result.ok);
    const merged = result.value.value as Record<string, unknown>;
    for (const key of Object.keys(document)) {
      if (!Object.hasOwn(patch, key)) assert.equal(JSON.stringify(merged[key]), JSON.stringify(document[key]));
    }
    for (const key of Object.keys(patch)) assert.equal(Object.hasOwn(merged, key), patch[key] !== null);
  }));
});
