import assert from "node:assert/strict";
import { test } from "node:test";
import { getAtom } from "./atom.ts";
import { compareFields, createManagedEndpoint, trackUpdate } from "./track_update.ts";
import { createFieldSet } from "./field_set.ts";
import { formatFieldsV1 } from "./managers.ts";
import { collectLeaves } from "./merge.ts";
import { thingKind } from "../../../tests/support/thing_kind.ts";
import { decodeObject } from "../wire/object_json.ts";
import type { KubeObject, ManagedFieldsEntry } from "../meta.ts";

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

const MAIN = createManagedEndpoint(thingKind, "", ["status"]);
const STATUS = createManagedEndpoint(thingKind, "status", ["spec"]);
const VERSION = "test.example/v1";

function thing(spec: object, metadata: object = {}, rest: object = {}): KubeObject {
  // An object in memory has the fields that its kind always writes.
  return decodeObject(thingKind.schema, {
    metadata: { name: "t", ...metadata },
    spec,
    ...rest,
  }).object as unknown as KubeObject;
}

function at(second: number): string {
  return `2026-01-01T00:00:0${second}Z`;
}

function owned(manager: string, fieldsV1: object, edit: Partial<ManagedFieldsEntry> = {}): ManagedFieldsEntry {
  const entry = { manager, operation: "Update", apiVersion: VERSION, time: at(1), fieldsType: "FieldsV1", fieldsV1 };
  return { ...entry, ...edit };
}

/** Returns an object as the store has it, with a uid and managed fields. */
function stored(object: KubeObject, ...managedFields: readonly ManagedFieldsEntry[]): KubeObject {
  return { ...object, metadata: { ...object.metadata, uid: "u", managedFields } };
}

test("trackUpdate() assigns a new object's fields to its creator, except those that the server sets", () => {
  const object = thing({ text: "a", map: { b: "1" } }, { labels: { l: "1" }, generateName: "g", uid: "u" });
  assert.deepEqual(trackUpdate(MAIN, undefined, object, { manager: "m", time: at(1) }), [
    owned("m", {
      "f:metadata": { "f:generateName": {}, "f:labels": { ".": {}, "f:l": {} } },
      "f:spec": { "f:map": { ".": {}, "f:b": {} }, "f:text": {} },
    }),
  ]);
});

test("trackUpdate() adds no entry for an object without fields, and names an unnamed manager", () => {
  assert.equal(trackUpdate(MAIN, undefined, thing({}), { manager: "m", time: at(1) }), undefined);
  assert.equal(
    trackUpdate(MAIN, undefined, thing({ text: "a" }), { manager: "", time: at(1) })?.[0]?.manager,
    "unknown",
  );
});

test("trackUpdate() omits fields that the endpoint resets", () => {
  const object = thing({ text: "a" }, {}, { status: { name: "s" } });
  const author = { manager: "m", time: at(1) };
  assert.deepEqual(trackUpdate(MAIN, undefined, object, author), [owned("m", { "f:spec": { "f:text": {} } })]);
  const live = stored(thing({}), owned("m", { "f:metadata": { "f:labels": {} } }));
  assert.deepEqual(trackUpdate(STATUS, live, object, author), [
    owned("m", { "f:metadata": { "f:labels": {} } }),
    owned("m", { "f:status": { ".": {}, "f:name": {} } }, { subresource: "status" }),
  ]);
});

test("trackUpdate() moves a changed field to the manager that changed it", () => {
  const live = stored(
    thing({ text: "a", map: { b: "1", c: "1" } }),
    owned("old", { "f:spec": { "f:map": { ".": {}, "f:b": {}, "f:c": {} }, "f:text": {} } }),
  );
  assert.deepEqual(trackUpdate(MAIN, live, thing({ map: { b: "2", c: "1" } }), { manager: "new", time: at(2) }), [
    owned("old", { "f:spec": { "f:map": { ".": {}, "f:c": {} } } }),
    owned("new", { "f:spec": { "f:map": { "f:b": {} } } }, { time: at(2) }),
  ]);
});

test("trackUpdate() adds to the fields of a manager, and keeps its time when nothing changes", () => {
  const live = stored(thing({ text: "a" }), owned("m", { "f:spec": { "f:text": {} } }));
  const author = { manager: "m", time: at(2) };
  assert.deepEqual(trackUpdate(MAIN, live, thing({ text: "a" }), author), live.metadata.managedFields);
  assert.deepEqual(trackUpdate(MAIN, live, thing({ text: "a", count: 1 }), author), [
    owned("m", { "f:spec": { "f:count": {}, "f:text": {} } }, { time: at(2) }),
  ]);
});

test("trackUpdate() drops a manager that no longer owns a field", () => {
  const live = stored(thing({ text: "a" }), owned("m", { "f:spec": { "f:text": {} } }));
  assert.equal(trackUpdate(MAIN, live, thing({}), { manager: "n", time: at(2) }), undefined);
});

test("trackUpdate() adds no entries to a stored object without any", () => {
  const live = { ...thing({}), metadata: { name: "t", uid: "u" } };
  assert.equal(trackUpdate(MAIN, live, thing({ text: "a" }), { manager: "m", time: at(2) }), undefined);
});

const LIVE = stored(thing({ text: "a" }), owned("m", { "f:spec": { "f:text": {} } }));
for (
  const { name, sent, want } of [
    { name: "an empty list removes all", sent: [], want: undefined },
    { name: "one empty entry removes all", sent: [{}], want: undefined },
    { name: "invalid entries are ignored", sent: [{ manager: "x" }], want: LIVE.metadata.managedFields },
    {
      name: "valid entries are stored",
      sent: [owned("x", { "f:spec": { "f:text": {} } }, { operation: "Apply" })],
      want: [owned("x", { "f:spec": { "f:text": {} } }, { operation: "Apply" })],
    },
    {
      name: "entries of unknown versions are dropped",
      sent: [owned("x", { "f:spec": { "f:text": {} } }), owned("y", { "f:spec": {} }, { apiVersion: "other/v1" })],
      want: [owned("x", { "f:spec": { "f:text": {} } })],
    },
  ]
) {
  test(`trackUpdate() of entries in the object: ${name}`, () => {
    const object = thing({ text: "a" }, { managedFields: sent });
    assert.deepEqual(trackUpdate(MAIN, LIVE, object, { manager: "n", time: at(2) }), want);
  });
}

test("trackUpdate() ignores entries in the body of a subresource", () => {
  const object = thing({ text: "a" }, { managedFields: [{}] });
  assert.deepEqual(trackUpdate(STATUS, LIVE, object, { manager: "n", time: at(2) }), LIVE.metadata.managedFields);
});

test("trackUpdate() treats an object without readable entries as one without entries", () => {
  const live = stored(thing({ text: "a" }), { manager: "x", operation: "Odd" });
  assert.equal(trackUpdate(MAIN, live, thing({ text: "b" }), { manager: "n", time: at(2) }), undefined);
});

test("trackUpdate() caps the entries of updates", () => {
  const entries = Array.from({ length: 10 }, (_, index) => owned(`m${index}`, { [`f:x${index}`]: {} }));
  const live = stored(thing({ text: "a" }), ...entries);
  const names = trackUpdate(MAIN, live, thing({ text: "b" }), { manager: "n", time: at(2) })?.map(({ manager }) =>
    manager
  );
  assert.equal(names?.length, 10);
  assert.equal(names?.[0], "ancient-changes");
});

test("trackUpdate() drops managers that wrote in another version", () => {
  const other = owned("x", { "f:spec": { "f:map": {} } }, { apiVersion: "v1" });
  const kept = owned("y", { "f:spec": { "f:map": {} } });
  const live = stored(thing({ text: "a" }), other, kept);
  assert.deepEqual(trackUpdate(MAIN, live, thing({ text: "b" }), { manager: "n", time: at(2) }), [
    kept,
    owned("n", { "f:spec": { "f:text": {} } }, { time: at(2) }),
  ]);
});
