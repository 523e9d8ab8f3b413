import assert from "node:assert/strict";
import { test } from "node:test";
import { getAtom } from "./atom.ts";
import { compareFields } from "./compare.ts";
import { createFieldSet } from "./field_set.ts";
import { formatFieldsV1 } from "./managers.ts";
import { collectLeaves } from "./merge.ts";
import { thingKind } from "../../../tests/support/thing_kind.ts";

const THING = getAtom(thingKind.schema);

function compared(before: unknown, after: unknown) {
  const result = compareFields({ spec: before }, { spec: after }, THING);
  if (result === undefined) return undefined;
  const spec = (set: typeof result.added): unknown => formatFieldsV1(set)["f:spec"] ?? {};
  return { removed: spec(result.removed), modified: spec(result.modified), added: spec(result.added) };
}

// structured-merge-diff `typed/symdiff_test.go`, `typed/merge_test.go`
for (
  const { name, before, after, removed = {}, modified = {}, added = {} } of [
    { name: "nothing", before: { text: "a" }, after: { text: "a" } },
    { name: "a scalar", before: { text: "a" }, after: { text: "b" }, modified: { "f:text": {} } },
    { name: "a scalar that is added", before: {}, after: { count: 0 }, added: { "f:count": {} } },
    { name: "a scalar that is removed", before: { flag: false }, after: {}, removed: { "f:flag": {} } },
    {
      name: "a map that is added, and its entries",
      before: {},
      after: { map: { a: "1" } },
      added: { "f:map": { ".": {}, "f:a": {} } },
    },
    {
      name: "entries of a map",
      before: { map: { a: "1", b: "2" } },
      after: { map: { b: "3", c: "4" } },
      removed: { "f:map": { "f:a": {} } },
      modified: { "f:map": { "f:b": {} } },
      added: { "f:map": { "f:c": {} } },
    },
    { name: "an empty map that is added", before: {}, after: { map: {} }, added: { "f:map": {} } },
    { name: "an empty map that was null", before: { map: null }, after: { map: {} }, modified: { "f:map": {} } },
    { name: "an empty list that was null", before: { set: null }, after: { set: [] }, modified: { "f:set": {} } },
    {
      name: "items of a set",
      before: { set: ["a", "b"] },
      after: { set: ["b", "c"] },
      removed: { "f:set": { 'v:"a"': {} } },
      added: { "f:set": { 'v:"c"': {} } },
    },
    { name: "the order of a set", before: { set: ["a", "b"] }, after: { set: ["b", "a"] } },
    {
      name: "an item that is repeated now",
      before: { set: ["a"] },
      after: { set: ["a", "a"] },
      // It is removed as an item with an identity, and added as one without.
      removed: { "f:set": { 'v:"a"': {} } },
      added: { "f:set": { 'v:"a"': {} } },
    },
    {
      name: "an item that was repeated",
      before: { set: ["a", "a"] },
      after: { set: ["a"] },
      removed: { "f:set": { 'v:"a"': {} } },
      added: { "f:set": { 'v:"a"': {} } },
    },
    { name: "items that are repeated as before", before: { set: ["a", "a"] }, after: { set: ["a", "a"] } },
    {
      name: "an item of a list by key",
      before: { parts: [{ name: "x", value: "1" }, { name: "y" }] },
      after: { parts: [{ name: "z" }, { name: "x", value: "2" }] },
      removed: { "f:parts": { 'k:{"name":"y"}': { ".": {}, "f:name": {} } } },
      modified: { "f:parts": { 'k:{"name":"x"}': { "f:value": {} } } },
      added: { "f:parts": { 'k:{"name":"z"}': { ".": {}, "f:name": {} } } },
    },
    {
      name: "atomic values as a whole",
      before: { atomicList: ["a"], atomicMap: { a: "1" }, pair: { left: "l" } },
      after: { atomicList: ["b"], atomicMap: { a: "2" }, pair: { left: "l", right: "r" } },
      modified: { "f:atomicList": {}, "f:atomicMap": {}, "f:pair": {} },
    },
    {
      name: "a struct that is removed",
      before: { part: { name: "a" } },
      after: {},
      removed: { "f:part": { ".": {}, "f:name": {} } },
    },
  ] as readonly {
    name: string;
    before: object;
    after: object;
    removed?: object;
    modified?: object;
    added?: object;
  }[]
) {
  test(`compareFields() finds ${name}`, () => assert.deepEqual(compared(before, after), { removed, modified, added }));
}

test("compareFields() gives up where an item has no key", () => {
  assert.equal(compared({ parts: [null] }, {}), undefined);
});

test("compareFields() skips ignored fields and values that are the same by reference", () => {
  const ignored = createFieldSet(["f:spec", "f:map"], ["f:status"]);
  const before = { spec: { text: "a", map: { a: "1" } } };
  const after = { spec: { text: "b", map: { a: "2" } }, status: { name: "x" } };
  const result = compareFields(before, after, THING, ignored);
  assert.deepEqual(formatFieldsV1(result!.modified), { "f:spec": { "f:text": {} } });
  assert.equal(result!.added.size, 0);
  const shared = new Proxy({}, { ownKeys: () => assert.fail("was read") });
  assert.equal(compareFields({ spec: shared }, { spec: shared }, THING)?.modified.size, 0);
});

// structured-merge-diff `typed/toset_test.go`
for (
  const { name, value, want } of [
    { name: "scalars, null too", value: { text: "a", count: null }, want: { "f:count": {}, "f:text": {} } },
    { name: "entries of maps", value: { map: { a: "1" } }, want: { "f:map": { "f:a": {} } } },
    { name: "empty maps", value: { map: {}, part: {} }, want: { "f:map": {}, "f:part": {} } },
    { name: "no empty lists", value: { set: [], parts: [] }, want: {} },
    { name: "null lists", value: { set: null }, want: { "f:set": {} } },
    { name: "items of sets", value: { set: ["b", "a"] }, want: { "f:set": { 'v:"a"': {}, 'v:"b"': {} } } },
    {
      name: "items by key, and their fields",
      value: { parts: [{ name: "x", tags: ["t"] }] },
      want: { "f:parts": { 'k:{"name":"x"}': { ".": {}, "f:name": {}, "f:tags": { 'v:"t"': {} } } } },
    },
    {
      name: "an item without its key under the key's default",
      value: { parts: [{ value: "v" }] },
      want: { "f:parts": { 'k:{"name":""}': { ".": {}, "f:value": {} } } },
    },
    {
      name: "repeated items without their fields",
      value: { parts: [{ name: "x", value: "1" }, { name: "x" }] },
      want: { "f:parts": { 'k:{"name":"x"}': {} } },
    },
    {
      name: "atomic values as a whole",
      value: { atomicList: ["a"], atomicMap: {}, pair: { left: "l" } },
      want: { "f:atomicList": {}, "f:atomicMap": {}, "f:pair": {} },
    },
  ]
) {
  test(`collectLeaves() returns ${name}`, () => {
    assert.deepEqual(formatFieldsV1(collectLeaves({ spec: value }, THING))["f:spec"] ?? {}, want);
  });
}
