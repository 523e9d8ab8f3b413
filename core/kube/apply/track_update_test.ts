import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeObject } from "../wire/decode.ts";
import type { KubeObject, ManagedFieldsEntry } from "../meta.ts";
import { thingKind } from "../../../tests/support/thing_kind.ts";
import { createManagedEndpoint, trackUpdate } from "./track_update.ts";

const MAIN = createManagedEndpoint(thingKind, "", ["status"]);
const STATUS = createManagedEndpoint(thingKind, "status", ["spec"]);
const VERSION = "test.example/v1";

function thing(spec: object, metadata: object = {}, rest: object = {}): KubeObject {
  // Made by the description of its kind.
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

test("trackUpdate() has no entry for an object without fields, and a name for an unnamed manager", () => {
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

test("trackUpdate() drops a manager that owns no field any more", () => {
  const live = stored(thing({ text: "a" }), owned("m", { "f:spec": { "f:text": {} } }));
  assert.equal(trackUpdate(MAIN, live, thing({}), { manager: "n", time: at(2) }), undefined);
});

test("trackUpdate() starts no entries on a stored object that has none", () => {
  const live = { ...thing({}), metadata: { name: "t", uid: "u" } };
  assert.equal(trackUpdate(MAIN, live, thing({ text: "a" }), { manager: "m", time: at(2) }), undefined);
});

const LIVE = stored(thing({ text: "a" }), owned("m", { "f:spec": { "f:text": {} } }));
for (
  const { name, sent, want } of [
    { name: "an empty list removes all", sent: [], want: undefined },
    { name: "one empty entry removes all", sent: [{}], want: undefined },
    { name: "entries that make no sense are ignored", sent: [{ manager: "x" }], want: LIVE.metadata.managedFields },
    {
      name: "entries that do are taken",
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

test("trackUpdate() takes no entries from the body of a subresource", () => {
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
