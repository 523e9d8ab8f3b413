import assert from "node:assert/strict";
import { test } from "node:test";
import fc, { anyText } from "../../../tests/support/properties.ts";
import { formatFieldError } from "../status/field_error.ts";
import type { ObjectMeta } from "../meta.ts";
import { pathSegmentNameErrors, subdomainNameErrors } from "../names.ts";
import { validateObjectMeta, validateObjectMetaUpdate } from "./meta_v1.ts";

const CLUSTER = { namespaced: false, validateName: pathSegmentNameErrors };
const NAMESPACED = { namespaced: true, validateName: subdomainNameErrors };
const OWNER = { apiVersion: "v1", kind: "Node", name: "n", uid: "u" };
const NAME_PART =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an " +
  "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is " +
  "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

for (
  const { name, meta, rules = CLUSTER, want } of [
    { name: "a free-form name", meta: { name: "CSR: a b" }, want: [] },
    { name: "no name", meta: {}, want: ["metadata.name: Required value: name or generateName is required"] },
    {
      name: "a path",
      meta: { name: "a/b%" },
      want: [
        "metadata.name: Invalid value: \"a/b%\": may not contain '/'",
        "metadata.name: Invalid value: \"a/b%\": may not contain '%'",
      ],
    },
    { name: "dots", meta: { name: ".." }, want: ["metadata.name: Invalid value: \"..\": may not be '..'"] },
    {
      name: "a bad generateName",
      meta: { name: "a", generateName: "x/" },
      want: ["metadata.generateName: Invalid value: \"x/\": may not contain '/'"],
    },
    {
      name: "a namespace where there is none",
      meta: { name: "a", namespace: "n" },
      want: ["metadata.namespace: Forbidden: not allowed on this type"],
    },
    {
      name: "no namespace where one must be",
      meta: { name: "a" },
      rules: NAMESPACED,
      want: ["metadata.namespace: Required value"],
    },
    {
      name: "a namespace with a dot",
      meta: { name: "a", namespace: "a.b" },
      rules: NAMESPACED,
      want: ['metadata.namespace: Invalid value: "a.b": must not contain dots'],
    },
    {
      name: "a negative generation",
      meta: { name: "a", generation: -1 },
      want: ["metadata.generation: Invalid value: -1: must be greater than or equal to 0"],
    },
    {
      name: "a bad label key",
      meta: { name: "a", labels: { "-": "b" } },
      want: [`metadata.labels: Invalid value: "-": ${NAME_PART}`],
    },
    {
      name: "a long label value",
      meta: { name: "a", labels: { k: "v".repeat(64) } },
      want: [`metadata.labels: Invalid value: "${"v".repeat(64)}": must be no more than 63 bytes`],
    },
    { name: "an upper-case annotation prefix", meta: { name: "a", annotations: { "Example.com/x": "" } }, want: [] },
    {
      name: "annotations that are too long",
      meta: { name: "a", annotations: { k: "v".repeat(256 * 1024) } },
      want: ["metadata.annotations: Too long: may not be more than 262144 bytes"],
    },
    { name: "annotations at the limit", meta: { name: "a", annotations: { k: "v".repeat(256 * 1024 - 1) } }, want: [] },
    {
      name: "an empty owner",
      meta: { name: "a", ownerReferences: [{ apiVersion: "", kind: "", name: "", uid: "" }] },
      want: ["apiVersion", "kind", "name", "uid"].map((field) =>
        `metadata.ownerReferences[0].${field}: Required value: must not be empty`
      ),
    },
    {
      name: "an owner with a bad version",
      meta: { name: "a", ownerReferences: [{ ...OWNER, apiVersion: "a/b/c" }] },
      want: [
        'metadata.ownerReferences[0].apiVersion: Invalid value: "a/b/c": must be <group>/<version> or <version>',
      ],
    },
    {
      name: "two controllers",
      meta: { name: "a", ownerReferences: [{ ...OWNER, controller: true }, { ...OWNER, name: "m", controller: true }] },
      want: [
        "metadata.ownerReferences: Invalid value: " +
        '[{"apiVersion":"v1","kind":"Node","name":"n","uid":"u","controller":true},' +
        '{"apiVersion":"v1","kind":"Node","name":"m","uid":"u","controller":true}]: ' +
        'Only one reference can have Controller set to true. Found "true" in references for Node/n and Node/m',
      ],
    },
    {
      name: "an event as owner",
      meta: { name: "a", ownerReferences: [{ ...OWNER, kind: "Event" }] },
      want: [
        'metadata.ownerReferences[0]: Invalid value: {"apiVersion":"v1","kind":"Event","name":"n","uid":"u"}: ' +
        "/v1, Kind=Event is disallowed from being an owner",
      ],
    },
    {
      name: "a bad finalizer",
      meta: { name: "a", finalizers: ["a/b/c"] },
      want: [
        `metadata.finalizers: Invalid value: "a/b/c": ${NAME_PART.replace("name part", "a valid label key")} with an ` +
        "optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
      ],
    },
    {
      name: "both finalizers of deletion",
      meta: { name: "a", finalizers: ["orphan", "foregroundDeletion"] },
      want: [
        'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and ' +
        "foregroundDeletion cannot be both set",
      ],
    },
    {
      name: "bad managed fields",
      meta: {
        name: "a",
        managedFields: [{ manager: "m\u0000", operation: "Zap", fieldsType: "V2", subresource: "s".repeat(257) }, {}],
      },
      want: [
        'metadata.managedFields[0].operation: Unsupported value: "Zap": supported values: "Apply", "Update"',
        'metadata.managedFields[0].fieldsType: Invalid value: "V2": must be `FieldsV1`',
        'metadata.managedFields[0].manager: Invalid value: "m\\x00": invalid character U+0000 (at position 1)',
        "metadata.managedFields[0].subresource: Too long: may not be more than 256 bytes",
        "metadata.managedFields[1].operation: Required value: must not be empty",
      ],
    },
  ] as { name: string; meta: ObjectMeta; rules?: typeof CLUSTER; want: string[] }[]
) {
  test(`validateObjectMeta() reports ${want.length} faults for ${name}`, () => {
    assert.deepEqual(validateObjectMeta(meta, rules).map(formatFieldError), want);
  });
}

const STORED: ObjectMeta = {
  name: "a",
  uid: "u",
  resourceVersion: "5",
  generation: 2,
  creationTimestamp: "2026-01-01T00:00:00Z",
};

for (
  const { name, edit, stored = STORED, want } of [
    { name: "nothing", edit: {}, want: [] },
    { name: "a label", edit: { labels: { a: "b" } }, want: [] },
    {
      name: "the name",
      edit: { name: "b" },
      want: ['metadata.name: Invalid value: "b": field is immutable'],
    },
    { name: "the uid", edit: { uid: "v" }, want: ['metadata.uid: Invalid value: "v": field is immutable'] },
    {
      name: "the creation time",
      edit: { creationTimestamp: "2026-01-02T00:00:00Z" },
      want: ['metadata.creationTimestamp: Invalid value: "2026-01-02T00:00:00Z": field is immutable'],
    },
    {
      name: "the deletion time",
      edit: { deletionTimestamp: "2026-01-02T00:00:00Z", deletionGracePeriodSeconds: 0 },
      want: [
        'metadata.deletionTimestamp: Invalid value: "2026-01-02T00:00:00Z": field is immutable',
        "metadata.deletionGracePeriodSeconds: Invalid value: 0: field is immutable",
      ],
    },
    {
      name: "the revision to none",
      edit: { resourceVersion: "" },
      want: ['metadata.resourceVersion: Invalid value: "": must be specified for an update'],
    },
    {
      name: "the generation to a lower one",
      edit: { generation: 1 },
      want: ["metadata.generation: Invalid value: 1: must not be decremented"],
    },
    {
      name: "the finalizers of an object that is being deleted",
      edit: { finalizers: ["x/c", "x/a", "x/b"] },
      stored: { ...STORED, deletionTimestamp: "2026-01-02T00:00:00Z", finalizers: ["x/b"] },
      want: [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new " +
        'finalizers []string{"x/a", "x/c"}',
      ],
    },
  ] as { name: string; edit: ObjectMeta; stored?: ObjectMeta; want: string[] }[]
) {
  test(`validateObjectMetaUpdate() reports ${want.length} faults for changing ${name}`, () => {
    assert.deepEqual(validateObjectMetaUpdate({ ...stored, ...edit }, stored).map(formatFieldError), want);
  });
}

test("validateObjectMeta() returns for any labels, annotations and finalizers", () => {
  const texts = fc.dictionary(anyText(), anyText());
  fc.assert(fc.property(texts, texts, fc.array(fc.string()), (labels, annotations, finalizers) => {
    assert.ok(Array.isArray(validateObjectMeta({ name: "a", labels, annotations, finalizers }, CLUSTER)));
  }));
});
