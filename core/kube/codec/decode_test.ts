import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  ALL_KINDS,
  certificateSigningRequestKind,
  deleteOptionsSchema,
  leaseKind,
  listSchemaOf,
  namespaceKind,
  nodeKind,
  secretKind,
} from "../kinds/mod.ts";
import type { Kind } from "../schema.ts";
import { canonicalObject, decodeObject } from "./decode.ts";
import { DecodeError } from "./errors.ts";
import { parseJson } from "./json_parser.ts";

/** Kind, document and the error of Go's decoder for it, recorded from sigs.k8s.io/json with k8s.io/api v0.37.2. */
const FAULTS: readonly (readonly [Kind, string, string])[] = [
  [
    certificateSigningRequestKind,
    '{"spec":{"usages":"x"}}',
    "json: cannot unmarshal string into Go struct field CertificateSigningRequestSpec.spec.usages of type []v1.KeyUsage",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":{"usages":[1]}}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequestSpec.spec.usages of type v1.KeyUsage",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":{"usages":{"a":1}}}',
    "json: cannot unmarshal object into Go struct field CertificateSigningRequestSpec.spec.usages of type []v1.KeyUsage",
  ],
  [certificateSigningRequestKind, '{"spec":{"request":"%%"}}', "illegal base64 data at input byte 0"],
  [certificateSigningRequestKind, '{"spec":{"request":"YQ"}}', "illegal base64 data at input byte 0"],
  [certificateSigningRequestKind, '{"spec":{"request":"YQ="}}', "illegal base64 data at input byte 3"],
  [certificateSigningRequestKind, '{"spec":{"request":"YQ==x"}}', "illegal base64 data at input byte 4"],
  [certificateSigningRequestKind, '{"spec":{"request":"YQ=x"}}', "illegal base64 data at input byte 2"],
  [certificateSigningRequestKind, '{"spec":{"request":"YWJj="}}', "illegal base64 data at input byte 4"],
  [
    certificateSigningRequestKind,
    '{"spec":{"request":[1,256]}}',
    "json: cannot unmarshal number 256 into Go struct field CertificateSigningRequestSpec.spec.request of type uint8",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":{"request":["a"]}}',
    "json: cannot unmarshal string into Go struct field CertificateSigningRequestSpec.spec.request of type uint8",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":{"request":5}}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequestSpec.spec.request of type []uint8",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":{"request":{}}}',
    "json: cannot unmarshal object into Go struct field CertificateSigningRequestSpec.spec.request of type []uint8",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":{"expirationSeconds":"x"}}',
    "json: cannot unmarshal string into Go struct field CertificateSigningRequestSpec.spec.expirationSeconds of type int32",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":{"expirationSeconds":1.5}}',
    "json: cannot unmarshal number 1.5 into Go struct field CertificateSigningRequestSpec.spec.expirationSeconds of type int32",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":{"expirationSeconds":1.0}}',
    "json: cannot unmarshal number 1.0 into Go struct field CertificateSigningRequestSpec.spec.expirationSeconds of type int32",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":{"expirationSeconds":1e3}}',
    "json: cannot unmarshal number 1e3 into Go struct field CertificateSigningRequestSpec.spec.expirationSeconds of type int32",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":{"expirationSeconds":3000000000}}',
    "json: cannot unmarshal number 3000000000 into Go struct field CertificateSigningRequestSpec.spec.expirationSeconds of type int32",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":{"expirationSeconds":true}}',
    "json: cannot unmarshal bool into Go struct field CertificateSigningRequestSpec.spec.expirationSeconds of type int32",
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"generation":9223372036854775808}}',
    "json: cannot unmarshal number 9223372036854775808 into Go struct field ObjectMeta.metadata.generation of type int64",
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"generation":"1"}}',
    "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.generation of type int64",
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"labels":{"a":1}}}',
    "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"labels":[]}}',
    "json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":"x"}}',
    'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"',
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":5}}',
    "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":{}}}',
    "json: cannot unmarshal object into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":"2020-13-01T00:00:00Z"}}',
    'parsing time "2020-13-01T00:00:00Z": month out of range',
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":"2021-02-29T00:00:00Z"}}',
    'parsing time "2021-02-29T00:00:00Z": day out of range',
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":"2021-02-28T25:00:00Z"}}',
    'parsing time "2021-02-28T25:00:00Z": hour out of range',
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":"2021-02-28T05:00:00"}}',
    'parsing time "2021-02-28T05:00:00" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "Z07:00"',
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":"2021-02-28T05:00:00+0100"}}',
    'parsing time "2021-02-28T05:00:00+0100" as "2006-01-02T15:04:05Z07:00": cannot parse "+0100" as "Z07:00"',
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":"2021-02-28T05:00:00Zx"}}',
    'parsing time "2021-02-28T05:00:00Zx": extra text: "x"',
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":"2021-2-28T05:00:00Z"}}',
    'parsing time "2021-2-28T05:00:00Z" as "2006-01-02T15:04:05Z07:00": cannot parse "2-28T05:00:00Z" as "01"',
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":"2021-02-28 05:00:00Z"}}',
    'parsing time "2021-02-28 05:00:00Z" as "2006-01-02T15:04:05Z07:00": cannot parse " 05:00:00Z" as "T"',
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":""}}',
    'parsing time "" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "2006"',
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":"2021-02-28T05:60:00Z"}}',
    'parsing time "2021-02-28T05:60:00Z": minute out of range',
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":"2021-02-28T05:00:60Z"}}',
    'parsing time "2021-02-28T05:00:60Z": second out of range',
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":"2021-02-28T05:00:00+25:00"}}',
    'parsing time "2021-02-28T05:00:00+25:00": time zone offset hour out of range',
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"creationTimestamp":"\u00e9\\"\\\\"}}',
    'parsing time "\\xc3\\xa9\\"\\\\" as "2006-01-02T15:04:05Z07:00": cannot parse "\\xc3\\xa9\\"\\\\" as "2006"',
  ],
  [
    certificateSigningRequestKind,
    '{"spec":{"extra":{"a":"b"}}}',
    "json: cannot unmarshal string into Go struct field CertificateSigningRequestSpec.spec.extra of type v1.ExtraValue",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":{"extra":{"a":[1]}}}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequestSpec.spec.extra of type string",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":{"extra":5}}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequestSpec.spec.extra of type map[string]v1.ExtraValue",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":"x"}',
    "json: cannot unmarshal string into Go struct field CertificateSigningRequest.spec of type v1.CertificateSigningRequestSpec",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":[]}',
    "json: cannot unmarshal array into Go struct field CertificateSigningRequest.spec of type v1.CertificateSigningRequestSpec",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":5}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequest.spec of type v1.CertificateSigningRequestSpec",
  ],
  [
    certificateSigningRequestKind,
    '{"spec":true,"status":5}',
    "json: cannot unmarshal bool into Go struct field CertificateSigningRequest.spec of type v1.CertificateSigningRequestSpec",
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":5}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequest.metadata of type v1.ObjectMeta",
  ],
  [
    certificateSigningRequestKind,
    "[]",
    "json: cannot unmarshal array into Go value of type v1.CertificateSigningRequest",
  ],
  [
    certificateSigningRequestKind,
    '"x"',
    "json: cannot unmarshal string into Go value of type v1.CertificateSigningRequest",
  ],
  [
    certificateSigningRequestKind,
    "5",
    "json: cannot unmarshal number into Go value of type v1.CertificateSigningRequest",
  ],
  [
    certificateSigningRequestKind,
    "true",
    "json: cannot unmarshal bool into Go value of type v1.CertificateSigningRequest",
  ],
  [
    certificateSigningRequestKind,
    '{"status":{"conditions":{}}}',
    "json: cannot unmarshal object into Go struct field CertificateSigningRequestStatus.status.conditions of type []v1.CertificateSigningRequestCondition",
  ],
  [
    certificateSigningRequestKind,
    '{"status":{"conditions":[5]}}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequestStatus.status.conditions of type v1.CertificateSigningRequestCondition",
  ],
  [
    certificateSigningRequestKind,
    '{"status":{"conditions":[{"type":5}]}}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequestCondition.status.conditions.type of type v1.RequestConditionType",
  ],
  [
    certificateSigningRequestKind,
    '{"status":{"conditions":[{"type":"a","status":true}]}}',
    "json: cannot unmarshal bool into Go struct field CertificateSigningRequestCondition.status.conditions.status of type v1.ConditionStatus",
  ],
  [
    certificateSigningRequestKind,
    '{"metadata":{"ownerReferences":[{"controller":false},{"controller":"x"}]}}',
    "json: cannot unmarshal string into Go struct field OwnerReference.metadata.ownerReferences.controller of type bool",
  ],
  [secretKind, '{"data":{"a":null,"b":"YQ==","a1":"!"}}', "illegal base64 data at input byte 0"],
  [
    secretKind,
    '{"data":5}',
    "json: cannot unmarshal number into Go struct field Secret.data of type map[string][]uint8",
  ],
  [secretKind, '{"data":{"a":5}}', "json: cannot unmarshal number into Go struct field Secret.data of type []uint8"],
  [
    secretKind,
    '{"stringData":{"a":5}}',
    "json: cannot unmarshal number into Go struct field Secret.stringData of type string",
  ],
  [secretKind, '{"immutable":"x"}', "json: cannot unmarshal string into Go struct field Secret.immutable of type bool"],
  [secretKind, '{"type":5}', "json: cannot unmarshal number into Go struct field Secret.type of type v1.SecretType"],
  [
    leaseKind,
    '{"spec":{"renewTime":"2021-01-01T00:00:00Z"}}',
    'parsing time "2021-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"',
  ],
  [
    leaseKind,
    '{"spec":{"renewTime":"2021-01-01T00:00:00.1234567Z"}}',
    'parsing time "2021-01-01T00:00:00.1234567Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "7Z" as "Z07:00"',
  ],
  [
    leaseKind,
    '{"spec":{"renewTime":"2021-01-01T00:00:00.12345Z"}}',
    'parsing time "2021-01-01T00:00:00.12345Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse ".12345Z" as ".000000"',
  ],
  [
    leaseKind,
    '{"spec":{"renewTime":5}}',
    "json: cannot unmarshal number into Go struct field LeaseSpec.spec.renewTime of type string",
  ],
  [
    leaseKind,
    '{"spec":{"strategy":5}}',
    "json: cannot unmarshal number into Go struct field LeaseSpec.spec.strategy of type v1.CoordinatedLeaseStrategy",
  ],
  [
    nodeKind,
    '{"status":{"capacity":{"cpu":"1Zi"}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [
    nodeKind,
    '{"status":{"capacity":{"cpu":"abc"}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [
    nodeKind,
    '{"status":{"capacity":{"cpu":""}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [
    nodeKind,
    '{"status":{"capacity":{"cpu":"..5"}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [nodeKind, '{"status":{"capacity":{"cpu":"1e"}}}', "unable to parse quantity's suffix"],
  [
    nodeKind,
    '{"status":{"capacity":{"cpu":"1,5"}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [
    nodeKind,
    '{"status":{"capacity":{"cpu":"1KI"}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [nodeKind, '{"status":{"capacity":{"cpu":"1ki"}}}', "unable to parse quantity's suffix"],
  [nodeKind, '{"status":{"capacity":{"cpu":"1mm"}}}', "unable to parse quantity's suffix"],
  [
    nodeKind,
    '{"status":{"capacity":{"cpu":true}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [
    nodeKind,
    '{"status":{"capacity":{"cpu":{}}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [
    nodeKind,
    '{"status":{"capacity":5}}',
    "json: cannot unmarshal number into Go struct field NodeStatus.status.capacity of type v1.ResourceList",
  ],
  [
    nodeKind,
    '{"status":{"addresses":[{"type":5}]}}',
    "json: cannot unmarshal number into Go struct field NodeAddress.status.addresses.type of type v1.NodeAddressType",
  ],
  [
    nodeKind,
    '{"status":{"images":[{"sizeBytes":1.5}]}}',
    "json: cannot unmarshal number 1.5 into Go struct field ContainerImage.status.images.sizeBytes of type int64",
  ],
  [
    namespaceKind,
    '{"spec":{"finalizers":["kubernetes",5]}}',
    "json: cannot unmarshal number into Go struct field NamespaceSpec.spec.finalizers of type v1.FinalizerName",
  ],
];

for (const [kind, text, message] of FAULTS) {
  test(`decodeObject() refuses ${kind.kind} ${text} in Go's words`, () => {
    const document = parseJson(text);
    assert.throws(() => decodeObject(kind.schema, document.value, document), {
      name: "DecodeError",
      code: "invalid",
      message,
    });
  });
}

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

test("decodeObject() passes over kind and apiVersion, also in the items of a list", () => {
  const item = { kind: "Secret", apiVersion: "v1", metadata: { name: "a" } };
  const list = { kind: "SecretList", apiVersion: "v1", metadata: { resourceVersion: "1" }, items: [item] };
  const { object, strictErrors } = decodeObject(listSchemaOf(secretKind), list);
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
    assert.deepEqual(canonicalObject(kind.schema, object), object);
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

test("decodeObject() throws nothing but DecodeError, and what it gives is stable", () => {
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
      assert.deepEqual(canonicalObject(kind.schema, object), object);
    } catch (error) {
      assert.ok(error instanceof DecodeError, String(error));
    }
  }));
});
