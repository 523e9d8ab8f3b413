import assert from "node:assert/strict";
import { test } from "node:test";
import { ALL_KINDS } from "../../core/kube/kinds/mod.ts";
import { decodeObject } from "../../core/kube/codec/decode.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { StatusError } from "../../core/kube/status.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import fc from "../../tests/support/properties.ts";
import { refusable } from "../../tests/support/refusal.ts";
import { ADMIN } from "../../tests/support/test_app.ts";
import { configMaps } from "../registry/configmaps.ts";
import type { Resource } from "../registry/resource.ts";
import { applyBody, readConfig } from "./apply_body.ts";
import type { Exchange } from "./exchange.ts";
import { applyPatch, readPatch } from "./patch_body.ts";
import { Warnings } from "./warnings.ts";

// Of an exchange, patches know the warnings only.
const EXCHANGE = { warnings: new Warnings() } as unknown as Exchange;
const VALIDATIONS = ["Ignore", "Warn", "Strict"] as const;
/** Directives that cannot be followed are 500 in kube-apiserver, too. */
const MEANT = [500];

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
          () => applyPatch(EXCHANGE, kind, type, stored.object as unknown as KubeObject, readPatch(bytes), validation),
          MEANT,
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
        MEANT,
      );
    }
  }));
});

test("readPatch() refuses what is no JSON", () => {
  assert.throws(
    () => readPatch(Uint8Array.of(0x7b)),
    (error) => error instanceof StatusError && error.status.code === 400,
  );
});

test("readConfig() refuses what is nested too deeply to be worked on", () => {
  const deep = `{"data":${'{"a":'.repeat(5000)}1${"}".repeat(5001)}`;
  assert.throws(() => readConfig(new TextEncoder().encode(deep)), {
    message: "error decoding patch: exceeded max depth",
  });
});
