import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import {
  ALL_KINDS,
  certificateSigningRequestKind,
  deleteOptionsSchema,
  leaseKind,
  namespaceKind,
  secretKind,
} from "../kinds/mod.ts";
import type { Kind } from "../schema.ts";
import { decodeObject, encodeObject, jsonBytes, jsonText } from "./object_json.ts";
import { DecodeError } from "../json_value.ts";
import { parseJson } from "./json_parser.ts";

const STRICT: readonly { readonly text: string; readonly want: readonly string[] }[] = [
  {
    text: '{"foo":1,"spec":{"bar":1,"usages":["a"],"Usages":1},"status":{"conditions":[{"x":1},{"x":1}]}}',
    want: [
      'unknown field "foo"',
      'unknown field "spec.bar"',
      'unknown field "spec.Usages"',
      'unknown field "status.conditions[0].x"',
      'unknown field "status.conditions[1].x"',
    ],
  },
  {
    text: '{"spec":{"bar":1,"usages":[],"usages":[]}}',
    want: ['unknown field "spec.bar"', 'duplicate field "spec.usages"'],
  },
  {
    text: '{"status":{"conditions":[{"type":"a","type":"b"}]}}',
    want: ['duplicate field "status.conditions[0].type"'],
  },
  { text: '{"foo":1,"foo":2}', want: ['unknown field "foo"'] },
  { text: '{"spec":{"foo":{"a":1,"a":2}}}', want: ['unknown field "spec.foo"'] },
  { text: '{"metadata":{"labels":{"a":"1","a":"2"}}}', want: ['duplicate field "metadata.labels.a"'] },
  { text: '{"spec":{"extra":{"a":["1"],"a":["2"]}}}', want: ['duplicate field "spec.extra.a"'] },
  { text: '{"kind":"a","kind":"b","apiVersion":"x"}', want: ['duplicate field "kind"'] },
  {
    text: '{"spec":{},"spec":{"bar":1,"foo":{}}}',
    want: ['duplicate field "spec"', 'unknown field "spec.bar"', 'unknown field "spec.foo"'],
  },
  { text: '{"metadata":{"managedFields":[{"fieldsV1":{"f:a":{},"f:a":{}}}]}}', want: [] },
  { text: '{"spec":{"é\\n\\"":2}}', want: ['unknown field "spec.é\\n\\""'] },
  {
    text: '{"metadata":{"kind":"x","__proto__":1}}',
    want: ['unknown field "metadata.kind"', 'unknown field "metadata.__proto__"'],
  },
];

for (const { text, want } of STRICT) {
  test(`decodeObject() reports the strict errors of ${text}`, () => {
    const document = parseJson(text);
    assert.deepEqual(decodeObject(certificateSigningRequestKind.schema, document.value, document).strictErrors, want);
  });
}

test("decodeObject() reports at most 100 strict errors", () => {
  const value = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`x${index}`, 1]));
  assert.equal(decodeObject(secretKind.schema, value).strictErrors.length, 100);
});

test("decodeObject() ignores kind and apiVersion, also in the items of a list", () => {
  const item = { kind: "Secret", apiVersion: "v1", metadata: { name: "a" } };
  const list = { kind: "SecretList", apiVersion: "v1", metadata: { resourceVersion: "1" }, items: [item] };
  const { object, strictErrors } = decodeObject(secretKind.listSchema, list);
  assert.deepEqual(strictErrors, []);
  assert.deepEqual(object, { metadata: { resourceVersion: "1" }, items: [{ metadata: { name: "a" } }] });
});

const CANONICAL: readonly { readonly kind: Kind; readonly text: string; readonly want: string }[] = [
  {
    kind: certificateSigningRequestKind,
    text: "{}",
    want: '{"metadata":{},"spec":{"request":null,"signerName":""},"status":{}}',
  },
  {
    kind: certificateSigningRequestKind,
    text:
      '{"status":{"conditions":[null,{"status":"True","type":"Approved"}],"certificate":""},"spec":{"usages":["a",null],' +
      '"signerName":"x/y","request":"YR==","expirationSeconds":0,"groups":[]},"metadata":{"labels":{"b":"1","a":null},' +
      '"creationTimestamp":"2021-02-28T05:00:00.5+01:00","finalizers":null}}',
    want:
      '{"metadata":{"creationTimestamp":"2021-02-28T04:00:00Z","labels":{"a":"","b":"1"}},"spec":{"request":"YQ==",' +
      '"signerName":"x/y","expirationSeconds":0,"usages":["a",""]},"status":{"conditions":[{"type":"","status":"",' +
      '"lastUpdateTime":null,"lastTransitionTime":null},{"type":"Approved","status":"True","lastUpdateTime":null,' +
      '"lastTransitionTime":null}]}}',
  },
  {
    kind: certificateSigningRequestKind,
    text: '{"spec":{"request":[97,98]},"metadata":{"creationTimestamp":"0001-01-01T00:00:00Z"}}',
    want: '{"metadata":{},"spec":{"request":"YWI=","signerName":""},"status":{}}',
  },
  {
    kind: secretKind,
    text: '{"data":{"a":null},"immutable":false}',
    want: '{"metadata":{},"immutable":false,"data":{"a":""}}',
  },
  {
    kind: leaseKind,
    text: '{"spec":{"renewTime":"2021-01-01T00:00:00.123456-05:30","leaseDurationSeconds":0}}',
    want: '{"metadata":{},"spec":{"leaseDurationSeconds":0,"renewTime":"2021-01-01T05:30:00.123456Z"}}',
  },
  { kind: namespaceKind, text: "{}", want: '{"metadata":{},"spec":{},"status":{}}' },
];

for (const { kind, text, want } of CANONICAL) {
  test(`decodeObject() makes ${kind.kind} ${text} canonical`, () => {
    const document = parseJson(text);
    const { object } = decodeObject(kind.schema, document.value, document);
    assert.equal(JSON.stringify(object), want);
    assert.deepEqual(decodeObject(kind.schema, object).object, object);
  });
}

test("decodeObject() reads DeleteOptions with kind and apiVersion", () => {
  const options = { kind: "DeleteOptions", apiVersion: "v1", propagationPolicy: "Background", gracePeriodSeconds: 0 };
  assert.deepEqual(decodeObject(deleteOptionsSchema, options), {
    object: { gracePeriodSeconds: 0, propagationPolicy: "Background" },
    strictErrors: [],
  });
});

test("decodeObject() refuses free-form JSON that could not be printed again", () => {
  const deep = parseJson('{"a":'.repeat(2_000) + "1" + "}".repeat(2_000)).value;
  const object = { metadata: { managedFields: [{ fieldsV1: deep }] } };
  assert.throws(() => decodeObject(secretKind.schema, object), { message: "exceeded max depth" });
});

test("decodeObject() throws only DecodeError, and its result is stable", () => {
  const names = [
    ...new Set(ALL_KINDS.flatMap((kind) => [...Object.keys(kind.schema.fields), "name", "labels", "request"])),
  ];
  const { value: tree } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 1e300, "", "x", "YQ==", "2020-01-01T00:00:00Z", "1Gi"),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...names), tie("value"), { maxKeys: 4 }),
    ),
  }));
  fc.assert(fc.property(fc.constantFrom(...ALL_KINDS), tree, (kind, value) => {
    try {
      const { object } = decodeObject(kind.schema, value);
      assert.deepEqual(decodeObject(kind.schema, object).object, object);
    } catch (error) {
      assert.ok(error instanceof DecodeError, String(error));
    }
  }));
});

test("encodeObject() puts kind and apiVersion first, also if the object has others", () => {
  const object = { metadata: { name: "a" }, kind: "Wrong", apiVersion: "v9" };
  assert.equal(
    JSON.stringify(encodeObject(secretKind, object)),
    '{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"}}',
  );
  assert.equal(object.kind, "Wrong");
  const list = encodeObject({ kind: "SecretList", apiVersion: "v1" }, { metadata: {}, items: [] });
  assert.equal(JSON.stringify(list), '{"kind":"SecretList","apiVersion":"v1","metadata":{},"items":[]}');
});

test("jsonText() escapes as Go's encoder does", () => {
  assert.equal(jsonText({ a: "<b> & \u2028\u2029é" }), '{"a":"\\u003cb\\u003e \\u0026 \\u2028\\u2029é"}');
  assert.deepEqual(JSON.parse(jsonText({ a: "<&>" })), { a: "<&>" });
});

test("jsonBytes() returns UTF-8 without a line break", () => {
  assert.deepEqual([...jsonBytes("é")], [0x22, 0xc3, 0xa9, 0x22]);
});
