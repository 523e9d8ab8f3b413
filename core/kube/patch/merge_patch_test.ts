import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { applyMergePatch } from "./merge_patch.ts";

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
