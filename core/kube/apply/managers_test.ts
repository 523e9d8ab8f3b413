import assert from "node:assert/strict";
import { test } from "node:test";
import type { ManagedFieldsEntry } from "../meta.ts";
import {
  capUpdateManagers,
  decodeManagers,
  encodeManagers,
  formatFieldsV1,
  formatManagerKey,
  type Managers,
  parseFieldsV1,
} from "./managers.ts";
import { reconcileFields } from "./track_update.ts";
import { getAtom } from "./atom.ts";
import { createFieldSet } from "./field_set.ts";
import { thingKind } from "../../../tests/support/thing_kind.ts";
import fc from "../../../tests/support/properties.ts";

function entry(edit: Partial<ManagedFieldsEntry> = {}): ManagedFieldsEntry {
  return {
    manager: "m",
    operation: "Update",
    apiVersion: "v1",
    time: "2026-01-01T00:00:01Z",
    fieldsType: "FieldsV1",
    fieldsV1: { "f:a": {} },
    ...edit,
  };
}

function decoded(...entries: ManagedFieldsEntry[]): Managers {
  const managers = decodeManagers(entries);
  assert.ok(managers.ok);
  return managers.value;
}

// apimachinery `managedfields/internal/managedfields_test.go`
for (
  const { edit, want } of [
    { edit: { operation: "Delete" }, want: "operation must be `Apply` or `Update`" },
    { edit: { apiVersion: "" }, want: "apiVersion must not be empty" },
    { edit: { fieldsType: "" }, want: "missing fieldsType in managed fields entry 0" },
    { edit: { fieldsType: "FieldsV2" }, want: 'invalid fieldsType "FieldsV2" in managed fields entry 0' },
    { edit: { fieldsV1: { a: {} } }, want: "error decoding versioned set: fieldsV1 has a malformed path element" },
  ]
) {
  test(`decodeManagers() refuses ${JSON.stringify(edit)}`, () => {
    assert.deepEqual(decodeManagers([entry(edit)]), { ok: false, error: want });
  });
}

test("formatManagerKey() is the same for an applier in all versions, but not for an updater", () => {
  const name = { manager: "m", apiVersion: "v1", subresource: "status" };
  assert.equal(
    formatManagerKey({ ...name, operation: "Apply" }),
    '{"manager":"m","operation":"Apply","subresource":"status"}',
  );
  assert.equal(
    formatManagerKey({ ...name, operation: "Update" }),
    '{"manager":"m","operation":"Update","apiVersion":"v1","subresource":"status"}',
  );
});

test("encodeManagers() sorts by operation, time, name, version and subresource", () => {
  const sorted = [
    entry({ operation: "Apply", manager: "b", time: "2026-01-01T00:00:09Z" }),
    entry({ manager: "a", time: "2026-01-01T00:00:01Z" }),
    entry({ manager: "b", time: "2026-01-01T00:00:01Z" }),
    entry({ manager: "b", time: "2026-01-01T00:00:01Z", apiVersion: "v2" }),
    entry({ manager: "b", time: "2026-01-01T00:00:01Z", apiVersion: "v2", subresource: "status" }),
    entry({ manager: "a0", time: "2026-01-01T00:00:02Z" }),
  ];
  const { time: _time, ...timeless } = entry({ manager: "z" });
  const all = [sorted[0]!, timeless, ...sorted.slice(1)];
  assert.deepEqual(encodeManagers(decoded(...all.toReversed())), all);
  assert.equal(encodeManagers(new Map()), undefined);
});

test("encodeManagers() writes members in Go's order", () => {
  assert.deepEqual(Object.keys(encodeManagers(decoded(entry({ subresource: "status" })))![0]!), [
    "manager",
    "operation",
    "apiVersion",
    "time",
    "fieldsType",
    "fieldsV1",
    "subresource",
  ]);
});

function updaters(count: number, edit: (index: number) => Partial<ManagedFieldsEntry> = () => ({})): Managers {
  return decoded(...Array.from({ length: count }, (_, index) =>
    entry({
      manager: `m${index}`,
      time: `2026-01-01T00:00:${String(index).padStart(2, "0")}Z`,
      fieldsV1: { [`f:${index}`]: {} },
      ...edit(index),
    })));
}

function capped(managers: Managers): readonly string[] {
  capUpdateManagers(managers);
  return (encodeManagers(managers) ?? []).map(({ manager, apiVersion, time, fieldsV1 }) =>
    `${manager} ${apiVersion} ${time?.slice(-3, -1)} ${Object.keys(fieldsV1 ?? {}).join()}`
  );
}

// apimachinery `managedfields/internal/capmanagers_test.go`
test("capUpdateManagers() leaves ten updates alone, and any number of applies", () => {
  assert.equal(capped(updaters(10)).length, 10);
  assert.equal(capped(updaters(20, (index) => index < 10 ? { operation: "Apply" } : {})).length, 20);
});

test("capUpdateManagers() merges the oldest, with the time of the youngest of them", () => {
  assert.equal(capped(updaters(12))[0], "ancient-changes v1 02 f:0,f:1,f:2");
  assert.equal(capped(updaters(12)).length, 10);
});

test("capUpdateManagers() merges into an entry that it merged before", () => {
  const old = updaters(11, (index) => index === 0 ? { manager: "ancient-changes" } : {});
  assert.deepEqual(capped(old).slice(0, 2), ["ancient-changes v1 01 f:0,f:1", "m2 v1 02 f:2"]);
});

test("capUpdateManagers() keeps versions apart", () => {
  const mixed = updaters(12, (index) => ({ apiVersion: index % 2 === 0 ? "v1" : "v2" }));
  assert.deepEqual(capped(mixed).slice(0, 2), ["ancient-changes v1 02 f:0,f:2", "ancient-changes v2 03 f:1,f:3"]);
});

// structured-merge-diff `merge/schema_change_test.go`
for (
  const { name, path, want } of [
    {
      name: "parts of an atomic list",
      path: ["f:spec", "f:atomicList", 'v:"a"'],
      want: { "f:spec": { "f:atomicList": {} } },
    },
    {
      name: "parts of an atomic map",
      path: ["f:spec", "f:atomicMap", "f:a"],
      want: { "f:spec": { "f:atomicMap": {} } },
    },
    { name: "parts of an atomic struct", path: ["f:spec", "f:pair", "f:left"], want: { "f:spec": { "f:pair": {} } } },
  ]
) {
  test(`reconcileFields() replaces ${name} with the whole`, () => {
    assert.deepEqual(formatFieldsV1(reconcileFields(createFieldSet(path), getAtom(thingKind.schema))), want);
  });
}

test("reconcileFields() returns a set that already fits", () => {
  const set = createFieldSet(["f:spec", "f:parts", 'k:{"name":"x"}', "f:value"], ["f:spec", "f:atomicList"], [
    "f:unknown",
    "f:x",
  ]);
  assert.equal(reconcileFields(set, getAtom(thingKind.schema)), set);
});

test("capUpdateManagers() merges tens of thousands of updates", () => {
  const many = updaters(30_000, () => ({ time: "2026-01-01T00:00:00Z" }));
  capUpdateManagers(many);
  assert.equal(many.size, 10);
  const bucket = [...many.values()].find(({ manager }) => manager === "ancient-changes");
  assert.equal(bucket?.set.size, 29_991);
});

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
      name: "elements of unknown types, which are dropped",
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
