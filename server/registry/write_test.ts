import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { objectMetaSchema } from "../../core/kube/kinds/mod.ts";
import { withMeta } from "./write.ts";

const KEYS = Object.keys(objectMetaSchema.fields);

/** Metadata in Go's order with some of the keys; the value says where a key is from. */
function pickSome(value: fc.Arbitrary<string | undefined>): fc.Arbitrary<Record<string, string | undefined>> {
  return fc.subarray(KEYS).chain((keys) => fc.tuple(...keys.map((key) => value.map((text) => [key, text] as const))))
    .map((entries) => Object.fromEntries(entries));
}

test("withMeta() keeps metadata in Go's order, whatever is added, removed or replaced", () => {
  fc.assert(fc.property(
    pickSome(fc.constant("old")),
    pickSome(fc.constantFrom("new", undefined)),
    (metadata, edit) => {
      const before = { ...metadata };
      const edited = withMeta({ metadata }, edit as Parameters<typeof withMeta>[1]).metadata;
      const want = KEYS.map((key) => [key, key in edit ? edit[key] : metadata[key]])
        .filter(([, value]) => value !== undefined);
      assert.deepEqual(Object.entries(edited), want);
      assert.deepEqual(metadata, before);
    },
  ));
});
