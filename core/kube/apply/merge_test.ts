import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { findMemberAtom, getAtom } from "./atom.ts";
import { findConfigFault } from "./apply.ts";
import { createFieldSet } from "./field_set.ts";
import { formatFieldsV1 } from "./managers.ts";
import { mergeValue, removeFields, withNamedFields } from "./merge.ts";
import { thingKind } from "../../../tests/support/thing_kind.ts";

const THING = getAtom(thingKind.schema);
const SPEC = THING.kind === "struct" ? findMemberAtom(THING, "spec")! : assert.fail();

const parts = (names: string): readonly object[] => [...names].map((name) => ({ name }));

for (
  const { name, live, config, want } of [
    { name: "sets what it names", live: { text: "a", count: 1 }, config: { text: "b" }, want: { text: "b", count: 1 } },
    { name: "sets null", live: { text: "a" }, config: { text: null }, want: { text: null } },
    { name: "keeps a map under null", live: { map: { a: "1" } }, config: { map: null }, want: { map: { a: "1" } } },
    { name: "merges maps", live: { map: { a: "1" } }, config: { map: { b: "2" } }, want: { map: { a: "1", b: "2" } } },
    { name: "keeps a list under an empty one", live: { set: ["a"] }, config: { set: [] }, want: { set: ["a"] } },
    { name: "sets an empty list", live: { set: null }, config: { set: [] }, want: { set: [] } },
    {
      name: "replaces atomic lists",
      live: { atomicList: ["a"] },
      config: { atomicList: ["b"] },
      want: { atomicList: ["b"] },
    },
    {
      name: "replaces atomic maps",
      live: { atomicMap: { a: "1" } },
      config: { atomicMap: {} },
      want: { atomicMap: {} },
    },
    {
      name: "replaces atomic structs",
      live: { pair: { left: "l" } },
      config: { pair: { right: "r" } },
      want: { pair: { right: "r" } },
    },
    {
      name: "merges items by key",
      live: { parts: [{ name: "x", value: "1" }, { name: "y" }] },
      config: { parts: [{ name: "x", tags: ["t"] }] },
      want: { parts: [{ name: "x", value: "1", tags: ["t"] }, { name: "y" }] },
    },
    // structured-merge-diff `typed/merge_test.go`, the order of items
    { name: "appends items", live: { set: ["a", "b"] }, config: { set: ["c"] }, want: { set: ["a", "b", "c"] } },
    {
      name: "keeps the order of unchanged items",
      live: { set: ["a", "b", "c"] },
      config: { set: ["b"] },
      want: { set: ["a", "b", "c"] },
    },
    {
      name: "puts shared items into its own order",
      live: { set: ["a", "b", "c"] },
      config: { set: ["c", "a"] },
      want: { set: ["b", "c", "a"] },
    },
    {
      name: "keeps the places of its own items",
      live: { set: ["a", "b"] },
      config: { set: ["a", "x", "b"] },
      want: { set: ["a", "x", "b"] },
    },
    {
      name: "puts items of both before the next shared one",
      live: { set: ["x", "a", "y", "b", "z"] },
      config: { set: ["m", "a", "n", "b", "o"] },
      want: { set: ["x", "m", "a", "y", "n", "b", "z", "o"] },
    },
    {
      name: "orders items by key as sets",
      live: { parts: parts("abcde") },
      config: { parts: parts("eca") },
      want: { parts: parts("bdeca") },
    },
    {
      name: "drops repeats of the object that it names",
      live: { set: ["a", "a", "b"] },
      config: { set: ["a"] },
      want: { set: ["a", "b"] },
    },
    {
      name: "keeps repeats of the object that it does not name",
      live: { set: ["a", "a"] },
      config: { set: ["b"] },
      want: { set: ["a", "a", "b"] },
    },
  ] as readonly { name: string; live: object; config: object; want: object }[]
) {
  test(`mergeValue() ${name}`, () => {
    const before = structuredClone({ live, config });
    assert.deepEqual(mergeValue(live, config, SPEC), want);
    assert.deepEqual({ live, config }, before);
  });
}

test("mergeValue() terminates, keeps every item once, and keeps the configuration's order, for any two lists", () => {
  const items = fc.uniqueArray(fc.constantFrom(..."abcdefgh"), { maxLength: 8 });
  fc.assert(fc.property(items, items, (live, config) => {
    const { set = [] } = mergeValue({ set: live }, { set: config }, SPEC) as { set?: readonly string[] };
    assert.deepEqual([...set].sort(), [...new Set([...live, ...config])].sort());
    assert.deepEqual(set.filter((item) => config.includes(item)), config);
    assert.deepEqual(set.filter((item) => !config.includes(item)), live.filter((item) => !config.includes(item)));
    assert.deepEqual(mergeValue({ set }, { set: config }, SPEC), { set });
  }));
});

for (
  const { name, value, fields, want } of [
    { name: "scalars", value: { text: "a", count: 1 }, fields: [["f:text"]], want: { count: 1 } },
    { name: "entries", value: { map: { a: "1", b: "2" } }, fields: [["f:map", "f:a"]], want: { map: { b: "2" } } },
    {
      name: "the last entry, and leaves null",
      value: { map: { a: "1" } },
      fields: [["f:map", "f:a"]],
      want: { map: null },
    },
    { name: "items", value: { set: ["a", "b"] }, fields: [["f:set", 'v:"a"']], want: { set: ["b"] } },
    {
      name: "fields of items",
      value: { parts: [{ name: "x", value: "1" }] },
      fields: [["f:parts", 'k:{"name":"x"}', "f:value"]],
      want: { parts: [{ name: "x" }] },
    },
    { name: "nothing that is not there", value: { text: "a" }, fields: [["f:set", 'v:"a"']], want: { text: "a" } },
    {
      name: "atomic values as a whole",
      value: { text: "a", pair: { left: "l" } },
      fields: [["f:pair", "f:left"]],
      want: { text: "a", pair: null },
    },
  ] as readonly { name: string; value: object; fields: readonly string[][]; want: object }[]
) {
  test(`removeFields() removes ${name}`, () =>
    assert.deepEqual(removeFields(value, SPEC, createFieldSet(...fields)), want));
}

test("withNamedFields() adds the fields above members, not the entries of maps and items", () => {
  const set = createFieldSet(["f:map", "f:a"], ["f:parts", 'k:{"name":"x"}', "f:tags", 'v:"t"']);
  assert.deepEqual(formatFieldsV1(withNamedFields(set, SPEC)), {
    "f:map": { ".": {}, "f:a": {} },
    "f:parts": { ".": {}, 'k:{"name":"x"}': { "f:tags": { ".": {}, 'v:"t"': {} } } },
  });
});

// The texts of a real kube-apiserver 1.37.2.
for (
  const { config, want } of [
    { config: { text: "a", count: 1.5, flag: true, at: 5 }, want: undefined },
    { config: { wrong: 1 }, want: ".wrong: field not declared in schema" },
    { config: { part: { nme: "x" } }, want: ".part.nme: field not declared in schema" },
    { config: { text: 5 }, want: ".text: expected string, got &value.valueUnstructured{Value:5}" },
    {
      config: { text: { b: "c" } },
      want: '.text: expected string, got &value.valueUnstructured{Value:map[string]interface {}{"b":"c"}}',
    },
    { config: { count: "1" }, want: ".count: expected numeric (int or float), got string" },
    { config: { flag: "yes" }, want: ".flag: expected boolean, got &{yes}" },
    { config: { at: { a: "b" } }, want: ".at: expected any scalar, got &{map[a:b]}" },
    { config: { map: "x" }, want: ".map: expected map, got &{x}" },
    { config: { map: 2 ** 63 }, want: ".map: expected map, got &{9.223372036854776e+18}" },
    {
      config: { text: 2 ** 63 },
      want: ".text: expected string, got &value.valueUnstructured{Value:9.223372036854776e+18}",
    },
    { config: { set: "x" }, want: ".set: expected list, got &{x}" },
    { config: { set: ["a", "a"] }, want: '.set: duplicate entries for key [="a"]' },
    {
      config: { set: [null] },
      want: ".set: element 0: associative list without keys has an element that's an explicit null",
    },
    { config: { set: [{}] }, want: ".set: element 0: associative list without keys has an element that's a map type" },
    { config: { parts: [null] }, want: ".parts: element 0: associative list with keys may not have a null element" },
    { config: { parts: ["x"] }, want: ".parts: element 0: associative list with keys may not have non-map elements" },
    {
      config: { parts: [{ name: "x", value: 1 }] },
      want: '.parts[name="x"].value: expected string, got &value.valueUnstructured{Value:1}',
    },
    {
      config: { atomicList: ["a", 1] },
      want: ".atomicList[1]: expected string, got &value.valueUnstructured{Value:1}",
    },
    {
      config: { text: 1, flag: 2 },
      want:
        "errors:\n  .text: expected string, got &value.valueUnstructured{Value:1}\n  .flag: expected boolean, got &{2}",
    },
  ]
) {
  test(`findConfigFault() of ${JSON.stringify(config)}`, () => assert.equal(findConfigFault(config, SPEC), want));
}
