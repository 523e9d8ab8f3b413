import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "../../core/kube/meta.ts";
import { creation } from "../../tests/support/admission_requests.ts";
import { type AdmissionPlugin, createAdmission } from "./admission.ts";

const object: KubeObject = { metadata: { name: "x" } };
const labelling = (key: string): AdmissionPlugin => ({
  name: key,
  mutate: ({ object: given }) =>
    Promise.resolve({
      kind: "admitted",
      object: { ...given, metadata: { ...given.metadata, labels: { ...given.metadata.labels, [key]: "" } } },
    }),
});
const refusing = (message: string): AdmissionPlugin => ({
  name: message,
  mutate: () => Promise.resolve({ kind: "refused", message }),
  validate: () => Promise.resolve({ message }),
});

test("createAdmission() passes the object from plugin to plugin", async () => {
  const admission = createAdmission([labelling("a"), { name: "idle" }, labelling("b")]);
  const answer = await admission.mutate(creation(object));
  assert.deepEqual(answer.kind === "admitted" && answer.object.metadata.labels, { a: "", b: "" });
});

test("createAdmission() ends each phase at the first refusal", async () => {
  const admission = createAdmission([labelling("a"), refusing("first"), refusing("second")]);
  assert.deepEqual(await admission.mutate(creation(object)), { kind: "refused", message: "first" });
  assert.deepEqual(await admission.validate(creation(object)), { message: "first" });
});

test("createAdmission() admits every request without plugins", async () => {
  const admission = createAdmission([]);
  assert.deepEqual(await admission.mutate(creation(object)), { kind: "admitted", object });
  assert.equal(await admission.validate(creation(object)), undefined);
});
