import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { decodeObject } from "../wire/object_json.ts";
import type { JsonObject } from "../json_value.ts";
import type { KubeObject, ManagedFieldsEntry } from "../meta.ts";
import { thingKind } from "../../../tests/support/thing_kind.ts";
import { configMapKind } from "../kinds/mod.ts";
import { applyConfig, findConfigFault } from "./apply.ts";
import { createManagedEndpoint, trackUpdate } from "./track_update.ts";
import { formatFieldsV1, parseFieldsV1 } from "./managers.ts";
import { getAtom } from "./atom.ts";
import { collectLeaves } from "./merge.ts";

const MAIN = createManagedEndpoint(thingKind, "", ["status"]);
const STATUS = createManagedEndpoint(thingKind, "status", ["spec"]);
const VERSION = "test.example/v1";
const TIME = "2026-01-01T00:00:00Z";
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

/** A configuration of the spec. */
function config(spec: object, metadata: object = {}, head: object = {}): JsonObject {
  return { apiVersion: VERSION, kind: "Thing", metadata: { name: "t", ...metadata }, spec, ...head };
}

/** Applies a configuration as a manager, and returns the stored object. */
function applied(
  live: KubeObject | undefined,
  manager: string,
  sent: JsonObject,
  force = false,
  time = TIME,
): KubeObject {
  const result = applyConfig(MAIN, live, sent, { manager, time, force });
  assert.ok(result.ok, result.ok ? "" : JSON.stringify(result.error));
  return storedFrom(result.value.object, result.value.managedFields);
}

function storedFrom(object: object, managedFields: readonly ManagedFieldsEntry[] | undefined): KubeObject {
  const { metadata, ...rest } = decodeObject(thingKind.schema, object).object;
  const kept = { ...metadata as object, uid: "u", ...(managedFields === undefined ? {} : { managedFields }) };
  return { metadata: kept, ...rest };
}

/** Updates an object as a manager, and returns the stored object. */
function updated(live: KubeObject, manager: string, spec: object): KubeObject {
  const next = storedFrom({ metadata: { name: "t" }, spec }, undefined);
  return storedFrom(next, trackUpdate(MAIN, live, next, { manager, time: TIME }));
}

function getSpec(object: KubeObject): unknown {
  return Reflect.get(object, "spec");
}

function listOwners(object: KubeObject): Record<string, unknown> {
  return Object.fromEntries((object.metadata.managedFields ?? []).map(({ manager, operation, fieldsV1 }) => [
    `${manager} ${operation}`,
    fieldsV1,
  ]));
}

function listConflicts(live: KubeObject, manager: string, sent: JsonObject) {
  const result = applyConfig(MAIN, live, sent, { manager, time: TIME, force: false });
  assert.ok(!result.ok && result.error.kind === "conflict");
  return result.error.report;
}

test("applyConfig() creates an object, and owns the sent fields", () => {
  const made = applied(undefined, "a", config({ text: "x", map: { b: "1" } }));
  assert.deepEqual(getSpec(made), { text: "x", map: { b: "1" } });
  assert.deepEqual(made.metadata.managedFields, [{
    manager: "a",
    operation: "Apply",
    apiVersion: VERSION,
    time: TIME,
    fieldsType: "FieldsV1",
    fieldsV1: { "f:spec": { "f:map": { "f:b": {} }, "f:text": {} } },
  }]);
});

// structured-merge-diff `merge/*_test.go`: the fields that remain when an applier drops one
for (
  const { name, others, want } of [
    { name: "only it owned", others: (live: KubeObject) => live, want: { text: "x" } },
    {
      name: "another applier owns too",
      others: (live: KubeObject) => applied(live, "b", config({ count: 1 })),
      want: { text: "x", count: 1 },
    },
    {
      name: "an updater has changed since",
      others: (live: KubeObject) => updated(live, "c", { text: "x", count: 2 }),
      want: { text: "x", count: 2 },
    },
  ]
) {
  test(`applyConfig() drops a field that ${name}`, () => {
    const live = others(applied(undefined, "a", config({ text: "x", count: 1 })));
    assert.deepEqual(getSpec(applied(live, "a", config({ text: "x" }))), want);
  });
}

for (
  const { name, first, second, third, want } of [
    {
      name: "items of a set stay with their appliers",
      first: { set: ["a", "b"] },
      second: { set: ["c", "b"] },
      third: { set: ["a"] },
      want: { set: ["a", "c", "b"] },
    },
    {
      name: "items by key go with their only applier",
      first: { parts: [{ name: "x", value: "1" }, { name: "y" }] },
      second: { parts: [{ name: "x", tags: ["t"] }] },
      third: {},
      want: { parts: [{ name: "x", tags: ["t"] }] },
    },
    {
      name: "a map is removed with its last entry",
      first: { map: { a: "1" } },
      second: { text: "x" },
      third: {},
      want: { text: "x" },
    },
    {
      name: "a struct stays while a manager owns a part of it",
      first: { part: { name: "p", value: "v" } },
      second: { part: { name: "p" } },
      third: {},
      want: { part: { name: "p" } },
    },
  ] as readonly { name: string; first: object; second: object; third: object; want: object }[]
) {
  test(`applyConfig() drops parts of containers: ${name}`, () => {
    const live = applied(applied(undefined, "a", config(first)), "b", config(second));
    assert.deepEqual(getSpec(applied(live, "a", config(third))), want);
  });
}

test("applyConfig() reports one conflict with an applier, and one with an updater", () => {
  const live = updated(applied(undefined, "a", config({ text: "x" })), "u", { text: "x", count: 1 });
  assert.deepEqual(listConflicts(live, "b", config({ text: "y" })), {
    message: 'Apply failed with 1 conflict: conflict with "a": .spec.text',
    causes: [{ reason: "FieldManagerConflict", message: 'conflict with "a"', field: ".spec.text" }],
  });
  assert.equal(
    listConflicts(live, "b", config({ count: 2 })).message,
    `Apply failed with 1 conflict: conflict with "u" using ${VERSION}: .spec.count`,
  );
});

test("applyConfig() reports several conflicts by owner, each level before the next", () => {
  const base = applied(undefined, "z", config({ map: { b: "1" }, text: "x", parts: [{ name: "p", value: "1" }] }));
  const live = updated(base, "u", { map: { b: "1" }, text: "x", parts: [{ name: "p", value: "1" }], count: 1 });
  const sent = config({ map: { b: "2" }, text: "y", parts: [{ name: "p", value: "2" }], count: 2 });
  assert.equal(
    listConflicts(live, "b", sent).message,
    `Apply failed with 4 conflicts: conflicts with "u" using ${VERSION}:\n- .spec.count\nconflicts with "z":\n` +
      '- .spec.text\n- .spec.map.b\n- .spec.parts[name="p"].value',
  );
});

test("applyConfig() takes over fields with force, and shares equal ones", () => {
  const live = applied(undefined, "a", config({ text: "x", count: 1 }));
  const taken = applied(live, "b", config({ text: "y", count: 1 }), true);
  assert.deepEqual(listOwners(taken), {
    "a Apply": { "f:spec": { "f:count": {} } },
    "b Apply": { "f:spec": { "f:count": {}, "f:text": {} } },
  });
});

test("applyConfig() keeps the time of an entry when nothing changes, and a new entry then has none", () => {
  const live = applied(undefined, "a", config({ text: "x" }));
  const later = "2026-01-01T00:00:09Z";
  const times = (object: KubeObject) => object.metadata.managedFields?.map(({ manager, time }) => [manager, time]);
  assert.deepEqual(times(applied(live, "a", config({ text: "x" }), false, later)), [["a", TIME]]);
  assert.deepEqual(times(applied(live, "b", config({ text: "x" }), false, later)), [["b", undefined], ["a", TIME]]);
});

test("applyConfig() assigns fields without a manager to before-first-apply", () => {
  const { managedFields: _managedFields, ...metadata } = applied(undefined, "a", config({ text: "x" })).metadata;
  const old = { ...applied(undefined, "a", config({ text: "x" })), metadata };
  const owners = listOwners(applied(old, "b", config({ text: "x", count: 1 })));
  assert.deepEqual(Object.keys(owners), ["b Apply", "before-first-apply Update"]);
  assert.equal(
    listConflicts(old, "b", config({ text: "y" })).message,
    `Apply failed with 1 conflict: conflict with "before-first-apply" using ${VERSION}: .spec.text`,
  );
});

test("applyConfig() owns no field that the endpoint resets, and its conflicts contain the subresource", () => {
  const live = applied(undefined, "a", config({ text: "x" }));
  const author = { manager: "s", time: TIME, force: false };
  const first = applyConfig(STATUS, live, config({ text: "y" }, {}, { status: { name: "n" } }), author);
  assert.ok(first.ok);
  const next = storedFrom(first.value.object, first.value.managedFields);
  assert.deepEqual(listOwners(next)["s Apply"], { "f:status": { "f:name": {} } });
  const second = applyConfig(STATUS, next, config({}, {}, { status: { name: "m" } }), { ...author, manager: "o" });
  assert.ok(!second.ok && second.error.kind === "conflict");
  assert.match(second.error.report.message, /conflict with "s" with subresource "status": \.status\.name$/);
});

// The answers of a real kube-apiserver 1.37.2.
for (
  const { name, edit, kind, want } of [
    {
      name: "another kind",
      edit: { kind: "Other" },
      kind: "badRequest",
      want: "invalid object type: test.example/v1, Kind=Other",
    },
    {
      name: "no kind",
      edit: { kind: undefined },
      kind: "badRequest",
      want: "invalid object type: test.example/v1, Kind=",
    },
    {
      name: "another version",
      edit: { apiVersion: "v1" },
      kind: "badRequest",
      want: "invalid object type: /v1, Kind=Thing",
    },
    {
      name: "no version",
      edit: { apiVersion: undefined },
      kind: "badRequest",
      want: "invalid object type: /, Kind=Thing",
    },
    {
      name: "a version with too many parts",
      edit: { apiVersion: "a/b/c" },
      kind: "badRequest",
      want: "invalid object type: /, Kind=",
    },
    {
      name: "managers",
      edit: { metadata: { managedFields: [] } },
      kind: "badRequest",
      want: "metadata.managedFields must be nil",
    },
    {
      name: "an unknown field",
      edit: { wrong: 1 },
      kind: "internal",
      want:
        "failed to create typed patch object (/t; test.example/v1, Kind=Thing): .wrong: field not declared in schema",
    },
  ]
) {
  test(`applyConfig() refuses ${name}`, () => {
    const sent = { ...config({}), ...edit } as JsonObject;
    assert.deepEqual(applyConfig(MAIN, undefined, sent, { manager: "a", time: TIME, force: true }), {
      ok: false,
      error: { kind, message: want },
    });
  });
}

test("applyConfig() lets kubectl take over the fields of its client-side apply, and keeps the annotation", () => {
  const annotation = JSON.stringify({
    apiVersion: VERSION,
    kind: "Thing",
    metadata: { name: "t" },
    spec: { text: "x" },
  });
  const fresh = storedFrom(
    { metadata: { name: "t", annotations: { [LAST_APPLIED]: annotation } }, spec: { text: "x", count: 1 } },
    undefined,
  );
  const live = storedFrom(
    fresh,
    trackUpdate(MAIN, undefined, fresh, { manager: "kubectl-client-side-apply", time: TIME }),
  );
  const next = applied(live, "kubectl", config({ text: "y" }, { annotations: { b: "<" } }));
  assert.deepEqual(getSpec(next), { text: "y", count: 1 });
  assert.equal(
    next.metadata.annotations?.[LAST_APPLIED],
    '{"apiVersion":"test.example/v1","kind":"Thing","metadata":{"annotations":{"b":"\\u003c"},"name":"t"},' +
      '"spec":{"text":"y"}}\n',
  );
  assert.match(
    listConflicts(live, "kubectl", config({ text: "y", count: 2 })).message,
    /1 conflict: .*: \.spec\.count$/,
  );
  assert.match(listConflicts(live, "other", config({ text: "y" })).message, /1 conflict: .*: \.spec\.text$/);
});

const SPEC = fc.record({
  text: fc.constantFrom("a", "b"),
  count: fc.constantFrom(1, 2),
  map: fc.dictionary(fc.constantFrom("x", "y"), fc.constantFrom("1", "2"), { noNullPrototype: true }),
  set: fc.uniqueArray(fc.constantFrom("a", "b", "c")),
  parts: fc.uniqueArray(
    fc.record({ name: fc.constantFrom("p", "q"), value: fc.constantFrom("1", "2") }, { noNullPrototype: true }),
    {
      selector: ({ name }) => name,
    },
  ),
  pair: fc.record({ left: fc.constantFrom("l", "m") }, { noNullPrototype: true }),
}, { requiredKeys: [], noNullPrototype: true });

test("applyConfig() again changes no field and, after the second time, no owner; the object has the applied fields", () => {
  fc.assert(fc.property(SPEC, SPEC, SPEC, (first, second, third) => {
    const live = applied(applied(undefined, "a", config(first)), "b", config(second), true);
    const once = applied(live, "a", config(third), true);
    const twice = applied(once, "a", config(third), true);
    assert.deepEqual(getSpec(twice), getSpec(once));
    // An empty map is not stored, so that its next application takes it from other owners, as in kube-apiserver.
    assert.deepEqual(applied(twice, "a", config(third), true), twice);
    const { parts = [], set = [], map = {}, ...plain } = third;
    const spec = getSpec(once) as typeof third;
    assert.deepEqual({ ...spec, ...plain }, spec);
    for (const [key, value] of Object.entries(map)) assert.equal(spec.map?.[key], value);
    for (const item of set) assert.ok(spec.set?.includes(item));
    for (const { name, value } of parts) assert.equal(spec.parts?.find((part) => part.name === name)?.value, value);
  }));
});

test("applyConfig() of nothing keeps the fields of other owners, and only those", () => {
  fc.assert(fc.property(SPEC, SPEC, (first, second) => {
    const alone = applied(undefined, "b", config(second));
    const both = applied(applied(undefined, "a", config(first)), "b", config(second), true);
    const left = applied(both, "a", config({}), true);
    const fields = (object: KubeObject) =>
      formatFieldsV1(collectLeaves({ spec: getSpec(object) }, getAtom(thingKind.schema)));
    assert.deepEqual(fields(left), fields(alone));
  }));
});

test("applyConfig() records exactly the leaves of the sent configuration", () => {
  fc.assert(fc.property(SPEC, (spec) => {
    const entry = applied(undefined, "a", config(spec)).metadata.managedFields?.[0];
    const set = parseFieldsV1(entry?.fieldsV1);
    assert.ok(set.ok);
    assert.deepEqual(formatFieldsV1(set.value), formatFieldsV1(collectLeaves({ spec }, getAtom(thingKind.schema))));
  }));
});

test("findConfigFault() finds faults in more members than a call may have arguments", () => {
  const data = Object.fromEntries(Array.from({ length: 200_000 }, (_, index) => [`k${index}`, 1]));
  assert.match(findConfigFault({ metadata: {}, data }, getAtom(configMapKind.schema)) ?? "", /expected string, got/);
});

test("findConfigFault() does not repeat a long key for each of the faults below it", () => {
  const parts = [{ name: "x".repeat(100_000), tags: new Array(1_000).fill(1) }];
  const fault = findConfigFault({ spec: { parts } }, getAtom(thingKind.schema));
  assert.match(fault ?? "", /^errors:\n {2}\.spec\.parts\[name="x+"\]\.tags\[=1\]: expected string/);
  assert.ok((fault ?? "").length < 1_500_000, `${fault?.length} characters`);
});
