import assert from "node:assert/strict";
import { test } from "node:test";
import { configMapKind } from "../../core/kube/kinds/mod.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { creation } from "../../tests/support/admission_requests.ts";
import { type AdmissionPlugin, createAdmission } from "./admission.ts";

const object: KubeObject = { metadata: { name: "x" } };
const labelling = (key: string): AdmissionPlugin => ({
  name: key,
  mutate: ({ object: given }) =>
    Promise.resolve({
      object: { ...given, metadata: { ...given.metadata, labels: { ...given.metadata.labels, [key]: "" } } },
    }),
});
const refusing = (message: string): AdmissionPlugin => ({
  name: message,
  mutate: () => ({ message }),
  validate: () => ({ message }),
});

test("createAdmission() passes the object from plugin to plugin", async () => {
  const admission = createAdmission([labelling("a"), { name: "idle" }, labelling("b")]);
  const answer = await admission.mutate(creation(object));
  assert.deepEqual("object" in answer && answer.object.metadata.labels, { a: "", b: "" });
});

test("createAdmission() ends each phase at the first refusal", async () => {
  const admission = createAdmission([labelling("a"), refusing("first"), refusing("second")]);
  assert.deepEqual(await admission.mutate(creation(object)), { message: "first" });
  assert.deepEqual(await admission.validate(creation(object)), { message: "first" });
});

test("createAdmission() admits every request without plugins", async () => {
  const admission = createAdmission([]);
  assert.deepEqual(await admission.mutate(creation(object)), { object });
  assert.equal(await admission.validate(creation(object)), undefined);
});

test("createAdmission() calls a plugin for the writes of its kinds only", async () => {
  const admission = createAdmission([{ ...refusing("no"), kinds: [configMapKind] }]);
  assert.deepEqual(await admission.mutate(creation(object)), { object });
  assert.equal(await admission.validate(creation(object)), undefined);
  const request = creation(object, { kind: configMapKind });
  assert.deepEqual([await admission.mutate(request), await admission.validate(request)], [
    { message: "no" },
    { message: "no" },
  ]);
});
