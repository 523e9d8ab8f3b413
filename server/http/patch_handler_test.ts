import assert from "node:assert/strict";
import { test } from "node:test";
import { ALL_KINDS } from "../../core/kube/kinds/mod.ts";
import { decodeObject } from "../../core/kube/wire/object_json.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { StatusError } from "../../core/kube/status/status.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import fc from "../../tests/support/properties.ts";
import { refusable } from "../../tests/support/describe_refusal.ts";
import { ADMIN } from "../../tests/support/test_app.ts";
import { MAX_ELEMENTS } from "../../core/kube/wire/element_budget.ts";
import { configMaps } from "../registry/secrets.ts";
import type { Resource } from "../registry/resource.ts";
import { applyBody, applyPatch, readConfig, readPatch } from "./patch_handler.ts";
import { type Exchange, Warnings } from "./exchange.ts";

// Patches use only the warnings of an exchange.
const EXCHANGE = { warnings: new Warnings() } as unknown as Exchange;
const VALIDATIONS = ["Ignore", "Warn", "Strict"] as const;
/** kube-apiserver also answers 500 to directives that it cannot follow. */
const INTENDED_CODES = [500];

const member = fc.constantFrom(
  "metadata",
  "labels",
  "finalizers",
  "ownerReferences",
  "managedFields",
  "name",
  "data",
  "op",
  "path",
  "from",
  "value",
  "$patch",
  "$retainKeys",
  "$setElementOrder/finalizers",
  "$deleteFromPrimitiveList/finalizers",
  "__proto__",
);
const leaf = fc.oneof(
  fc.constantFrom(null, "delete", "add", "copy", "/metadata", "", "/data/a/-"),
  fc.string(),
  fc.double(),
  fc.boolean(),
);
const tree = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    fc.array(tie("node"), { maxLength: 4 }),
    fc.dictionary(member, tie("node"), { maxKeys: 4 }),
  ),
})).node;
const body = fc.oneof(tree.map((value) => new TextEncoder().encode(JSON.stringify(value))), fc.uint8Array());

test("patches of any type over any kind are applied, or refused with a 4xx, whatever the body", () => {
  const type = fc.constantFrom("json", "merge", "strategic" as const);
  fc.assert(
    fc.property(
      type,
      fc.constantFrom(...ALL_KINDS),
      fc.constantFrom(...VALIDATIONS),
      body,
      (type, kind, validation, bytes) => {
        const stored = decodeObject(kind.schema, { metadata: { name: "a", labels: { b: "c" }, finalizers: ["d/e"] } });
        refusable(
          () =>
            applyPatch(
              EXCHANGE,
              kind,
              type,
              stored.object as unknown as KubeObject,
              readPatch(type, bytes),
              validation,
            ),
          INTENDED_CODES,
        );
      },
    ),
  );
});

test("configurations are applied, or refused with a 4xx, whatever the body", () => {
  const target = { resource: configMaps as Resource, subresource: "", namespace: "n", name: "a", user: ADMIN };
  const stored = decodeObject(configMaps.kind.schema, { metadata: { name: "a", labels: { b: "c" } } }).object;
  fc.assert(fc.property(fc.constantFrom(...VALIDATIONS), fc.boolean(), body, (fieldValidation, force, bytes) => {
    const options = { dryRun: false, fieldManager: "m", fieldValidation, force };
    for (const live of [stored as unknown as KubeObject, undefined]) {
      refusable(
        () => applyBody({ clock: createFakeClock() }, target, EXCHANGE, live, readConfig(bytes), options),
        INTENDED_CODES,
      );
    }
  }));
});

test("readPatch() refuses text that is not JSON", () => {
  assert.throws(
    () => readPatch("merge", Uint8Array.of(0x7b)),
    (error) => error instanceof StatusError && error.status.code === 400,
  );
});

test("a patch adds no more elements than a body may have, and may change an object that has more", () => {
  const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, ""]));
  const patched = (type: "json" | "merge", stored: object, patch: unknown) => {
    const document = readPatch(type, new TextEncoder().encode(JSON.stringify(patch)));
    return applyPatch(EXCHANGE, configMaps.kind, type, stored as unknown as KubeObject, document, "Warn");
  };
  const small = { metadata: { name: "a", labels: labels(10) } };
  const many = Array.from({ length: 10_000 }, () => ({ op: "copy", from: "/metadata/name", path: "/data/a" }));
  assert.ok(patched("json", { ...small, data: {} }, many));
  const large = { metadata: { name: "a", labels: labels(MAX_ELEMENTS) } };
  assert.ok(patched("merge", large, { metadata: { labels: { k0: "x" } } }));
  for (
    const [type, stored, patch] of [
      ["json", small, [{ op: "add", path: "/metadata/labels", value: labels(MAX_ELEMENTS) }]],
      ["merge", small, { metadata: { labels: labels(MAX_ELEMENTS) } }],
      ["merge", large, { metadata: { labels: { more: "" } } }],
    ] as const
  ) {
    assert.throws(() => patched(type, stored, patch), (error) => {
      assert.ok(error instanceof StatusError && error.status.code === 413, String(error));
      return true;
    });
  }
});

test("readConfig() refuses a configuration that is nested too deeply", () => {
  const deep = `{"data":${'{"a":'.repeat(5000)}1${"}".repeat(5001)}`;
  assert.equal(
    readConfig(new TextEncoder().encode(deep)).syntaxFault,
    "error converting YAML to JSON: yaml: line 1: too many levels",
  );
});

test("applyPatch() keeps numbers as they were sent, and sorts the members that the patch visited", () => {
  const stored = decodeObject(configMaps.kind.schema, { metadata: { name: "a" }, data: { b: "c" } }).object;
  const patched = (type: "json" | "merge" | "strategic", patch: string) => () =>
    applyPatch(
      EXCHANGE,
      configMaps.kind,
      type,
      stored as unknown as KubeObject,
      readPatch(type, new TextEncoder().encode(patch)),
      "Warn",
    );
  for (
    const { type, patch, shown } of [
      {
        type: "json",
        patch: '[{"op":"add","path":"/data/z","value":{"z":9223372036854775808,"a":1.0}}]',
        shown: '"data":{"b":"c","z":{"z":9223372036854775808,"a":1.0}}',
      },
      {
        type: "json",
        patch: '[{"op":"add","path":"/data","value":{"z":{},"a":{}}},{"op":"add","path":"/data/z/y","value":1e3}]',
        shown: '"data":{"a":{},"z":{"y":1e3}}',
      },
      { type: "merge", patch: '{"data":{"z":[{"z":1,"a":-0}]}}', shown: '"data":{"b":"c","z":[{"a":-0,"z":1}]}' },
      {
        type: "strategic",
        patch: '{"data":{"z":9223372036854775807,"a":1e6}}',
        shown: "map[data:map[a:1e+06 z:9223372036854775807]]",
      },
    ] as const
  ) {
    assert.throws(patched(type, patch), (error) => {
      assert.ok(error instanceof StatusError && error.status.code === 422);
      assert.ok(error.message.includes(JSON.stringify(shown).slice(1, -1)), error.message);
      return true;
    });
  }
});

test("applyPatch() refuses a number that is too large for a float where Go parses numbers", () => {
  const stored = { metadata: { name: "a" } } as unknown as KubeObject;
  const float = "json: cannot unmarshal number 1e400 into Go";
  for (
    const { type, patch, want } of [
      {
        type: "json",
        patch: '[{"op":"test","path":"/a","value":{"b":[1e400]}}]',
        want: `error decoding patch: ${float} struct field jsonPatchOp.value of type float64`,
      },
      { type: "merge", patch: '{"a":1e400}', want: `error decoding patch: ${float} value of type float64` },
      { type: "strategic", patch: '{"a":1e400}', want: `${float} value of type float64` },
    ] as const
  ) {
    const document = readPatch(type, new TextEncoder().encode(patch));
    assert.throws(() => applyPatch(EXCHANGE, configMaps.kind, type, stored, document, "Warn"), { message: want });
  }
});

test("an applied configuration keeps integers of 64 bits, and invalid JSON is refused when it is applied", () => {
  const target = { resource: configMaps as Resource, subresource: "", namespace: "n", name: "a", user: ADMIN };
  const options = { dryRun: false, fieldManager: "m", fieldValidation: "Warn", force: false } as const;
  const applied = (text: string) => () =>
    applyBody(
      { clock: createFakeClock() },
      target,
      EXCHANGE,
      undefined,
      readConfig(new TextEncoder().encode(text)),
      options,
    );
  assert.throws(applied('{"apiVersion":"v1","kind":"ConfigMap","data":{"a":9223372036854775807}}'), {
    message: "failed to create typed patch object (/; /v1, Kind=ConfigMap): .data.a: expected string, got " +
      "&value.valueUnstructured{Value:9223372036854775807}",
  });
  assert.throws(applied("{"), {
    message: "error decoding patch: error converting YAML to JSON: yaml: line 1: a closing bracket is missing",
  });
});
