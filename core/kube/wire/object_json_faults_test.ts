import assert from "node:assert/strict";
import { test } from "node:test";
import {
  certificateSigningRequestKind as csr,
  leaseKind as lease,
  namespaceKind as namespace,
  nodeKind as node,
  secretKind as secret,
} from "../kinds/mod.ts";
import type { Kind } from "../schema.ts";
import { decodeObject } from "./object_json.ts";
import { parseJson } from "./json_parser.ts";

/** Kind, document and the error of Go's decoder for it, recorded from sigs.k8s.io/json with k8s.io/api v0.37.2. */
const FAULTS: readonly (readonly [Kind, string, string])[] = [
  [
    csr,
    '{"spec":{"usages":"x"}}',
    "json: cannot unmarshal string into Go struct field CertificateSigningRequestSpec.spec.usages of type []v1.KeyUsage",
  ],
  [
    csr,
    '{"spec":{"usages":[1]}}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequestSpec.spec.usages of type v1.KeyUsage",
  ],
  [
    csr,
    '{"spec":{"usages":{"a":1}}}',
    "json: cannot unmarshal object into Go struct field CertificateSigningRequestSpec.spec.usages of type []v1.KeyUsage",
  ],
  [csr, '{"spec":{"request":"%%"}}', "illegal base64 data at input byte 0"],
  [csr, '{"spec":{"request":"YQ"}}', "illegal base64 data at input byte 0"],
  [csr, '{"spec":{"request":"YQ="}}', "illegal base64 data at input byte 3"],
  [csr, '{"spec":{"request":"YQ==x"}}', "illegal base64 data at input byte 4"],
  [csr, '{"spec":{"request":"YQ=x"}}', "illegal base64 data at input byte 2"],
  [csr, '{"spec":{"request":"YWJj="}}', "illegal base64 data at input byte 4"],
  [
    csr,
    '{"spec":{"request":[1,256]}}',
    "json: cannot unmarshal number 256 into Go struct field CertificateSigningRequestSpec.spec.request of type uint8",
  ],
  [
    csr,
    '{"spec":{"request":["a"]}}',
    "json: cannot unmarshal string into Go struct field CertificateSigningRequestSpec.spec.request of type uint8",
  ],
  [
    csr,
    '{"spec":{"request":5}}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequestSpec.spec.request of type []uint8",
  ],
  [
    csr,
    '{"spec":{"request":{}}}',
    "json: cannot unmarshal object into Go struct field CertificateSigningRequestSpec.spec.request of type []uint8",
  ],
  [
    csr,
    '{"spec":{"expirationSeconds":"x"}}',
    "json: cannot unmarshal string into Go struct field CertificateSigningRequestSpec.spec.expirationSeconds of type int32",
  ],
  [
    csr,
    '{"spec":{"expirationSeconds":1.5}}',
    "json: cannot unmarshal number 1.5 into Go struct field CertificateSigningRequestSpec.spec.expirationSeconds of type int32",
  ],
  [
    csr,
    '{"spec":{"expirationSeconds":1.0}}',
    "json: cannot unmarshal number 1.0 into Go struct field CertificateSigningRequestSpec.spec.expirationSeconds of type int32",
  ],
  [
    csr,
    '{"spec":{"expirationSeconds":1e3}}',
    "json: cannot unmarshal number 1e3 into Go struct field CertificateSigningRequestSpec.spec.expirationSeconds of type int32",
  ],
  [
    csr,
    '{"spec":{"expirationSeconds":3000000000}}',
    "json: cannot unmarshal number 3000000000 into Go struct field CertificateSigningRequestSpec.spec.expirationSeconds of type int32",
  ],
  [
    csr,
    '{"spec":{"expirationSeconds":true}}',
    "json: cannot unmarshal bool into Go struct field CertificateSigningRequestSpec.spec.expirationSeconds of type int32",
  ],
  [
    csr,
    '{"metadata":{"generation":9223372036854775808}}',
    "json: cannot unmarshal number 9223372036854775808 into Go struct field ObjectMeta.metadata.generation of type int64",
  ],
  [
    csr,
    '{"metadata":{"generation":"1"}}',
    "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.generation of type int64",
  ],
  [
    csr,
    '{"metadata":{"labels":{"a":1}}}',
    "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
  ],
  [
    csr,
    '{"metadata":{"labels":[]}}',
    "json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":"x"}}',
    'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"',
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":5}}',
    "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":{}}}',
    "json: cannot unmarshal object into Go struct field ObjectMeta.metadata.creationTimestamp of type string",
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":"2020-13-01T00:00:00Z"}}',
    'parsing time "2020-13-01T00:00:00Z": month out of range',
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":"2021-02-29T00:00:00Z"}}',
    'parsing time "2021-02-29T00:00:00Z": day out of range',
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":"2021-02-28T25:00:00Z"}}',
    'parsing time "2021-02-28T25:00:00Z": hour out of range',
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":"2021-02-28T05:00:00"}}',
    'parsing time "2021-02-28T05:00:00" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "Z07:00"',
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":"2021-02-28T05:00:00+0100"}}',
    'parsing time "2021-02-28T05:00:00+0100" as "2006-01-02T15:04:05Z07:00": cannot parse "+0100" as "Z07:00"',
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":"2021-02-28T05:00:00Zx"}}',
    'parsing time "2021-02-28T05:00:00Zx": extra text: "x"',
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":"2021-2-28T05:00:00Z"}}',
    'parsing time "2021-2-28T05:00:00Z" as "2006-01-02T15:04:05Z07:00": cannot parse "2-28T05:00:00Z" as "01"',
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":"2021-02-28 05:00:00Z"}}',
    'parsing time "2021-02-28 05:00:00Z" as "2006-01-02T15:04:05Z07:00": cannot parse " 05:00:00Z" as "T"',
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":""}}',
    'parsing time "" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "2006"',
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":"2021-02-28T05:60:00Z"}}',
    'parsing time "2021-02-28T05:60:00Z": minute out of range',
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":"2021-02-28T05:00:60Z"}}',
    'parsing time "2021-02-28T05:00:60Z": second out of range',
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":"2021-02-28T05:00:00+25:00"}}',
    'parsing time "2021-02-28T05:00:00+25:00": time zone offset hour out of range',
  ],
  [
    csr,
    '{"metadata":{"creationTimestamp":"\u00e9\\"\\\\"}}',
    'parsing time "\\xc3\\xa9\\"\\\\" as "2006-01-02T15:04:05Z07:00": cannot parse "\\xc3\\xa9\\"\\\\" as "2006"',
  ],
  [
    csr,
    '{"spec":{"extra":{"a":"b"}}}',
    "json: cannot unmarshal string into Go struct field CertificateSigningRequestSpec.spec.extra of type v1.ExtraValue",
  ],
  [
    csr,
    '{"spec":{"extra":{"a":[1]}}}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequestSpec.spec.extra of type string",
  ],
  [
    csr,
    '{"spec":{"extra":5}}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequestSpec.spec.extra of type map[string]v1.ExtraValue",
  ],
  [
    csr,
    '{"spec":"x"}',
    "json: cannot unmarshal string into Go struct field CertificateSigningRequest.spec of type v1.CertificateSigningRequestSpec",
  ],
  [
    csr,
    '{"spec":[]}',
    "json: cannot unmarshal array into Go struct field CertificateSigningRequest.spec of type v1.CertificateSigningRequestSpec",
  ],
  [
    csr,
    '{"spec":5}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequest.spec of type v1.CertificateSigningRequestSpec",
  ],
  [
    csr,
    '{"spec":true,"status":5}',
    "json: cannot unmarshal bool into Go struct field CertificateSigningRequest.spec of type v1.CertificateSigningRequestSpec",
  ],
  [
    csr,
    '{"metadata":5}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequest.metadata of type v1.ObjectMeta",
  ],
  [
    csr,
    "[]",
    "json: cannot unmarshal array into Go value of type v1.CertificateSigningRequest",
  ],
  [
    csr,
    '"x"',
    "json: cannot unmarshal string into Go value of type v1.CertificateSigningRequest",
  ],
  [
    csr,
    "5",
    "json: cannot unmarshal number into Go value of type v1.CertificateSigningRequest",
  ],
  [
    csr,
    "true",
    "json: cannot unmarshal bool into Go value of type v1.CertificateSigningRequest",
  ],
  [
    csr,
    '{"status":{"conditions":{}}}',
    "json: cannot unmarshal object into Go struct field CertificateSigningRequestStatus.status.conditions of type []v1.CertificateSigningRequestCondition",
  ],
  [
    csr,
    '{"status":{"conditions":[5]}}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequestStatus.status.conditions of type v1.CertificateSigningRequestCondition",
  ],
  [
    csr,
    '{"status":{"conditions":[{"type":5}]}}',
    "json: cannot unmarshal number into Go struct field CertificateSigningRequestCondition.status.conditions.type of type v1.RequestConditionType",
  ],
  [
    csr,
    '{"status":{"conditions":[{"type":"a","status":true}]}}',
    "json: cannot unmarshal bool into Go struct field CertificateSigningRequestCondition.status.conditions.status of type v1.ConditionStatus",
  ],
  [
    csr,
    '{"metadata":{"ownerReferences":[{"controller":false},{"controller":"x"}]}}',
    "json: cannot unmarshal string into Go struct field OwnerReference.metadata.ownerReferences.controller of type bool",
  ],
  [secret, '{"data":{"a":null,"b":"YQ==","a1":"!"}}', "illegal base64 data at input byte 0"],
  [
    secret,
    '{"data":5}',
    "json: cannot unmarshal number into Go struct field Secret.data of type map[string][]uint8",
  ],
  [secret, '{"data":{"a":5}}', "json: cannot unmarshal number into Go struct field Secret.data of type []uint8"],
  [
    secret,
    '{"stringData":{"a":5}}',
    "json: cannot unmarshal number into Go struct field Secret.stringData of type string",
  ],
  [secret, '{"immutable":"x"}', "json: cannot unmarshal string into Go struct field Secret.immutable of type bool"],
  [secret, '{"type":5}', "json: cannot unmarshal number into Go struct field Secret.type of type v1.SecretType"],
  [
    lease,
    '{"spec":{"renewTime":"2021-01-01T00:00:00Z"}}',
    'parsing time "2021-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"',
  ],
  [
    lease,
    '{"spec":{"renewTime":"2021-01-01T00:00:00.1234567Z"}}',
    'parsing time "2021-01-01T00:00:00.1234567Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "7Z" as "Z07:00"',
  ],
  [
    lease,
    '{"spec":{"renewTime":"2021-01-01T00:00:00.12345Z"}}',
    'parsing time "2021-01-01T00:00:00.12345Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse ".12345Z" as ".000000"',
  ],
  [
    lease,
    '{"spec":{"renewTime":5}}',
    "json: cannot unmarshal number into Go struct field LeaseSpec.spec.renewTime of type string",
  ],
  [
    lease,
    '{"spec":{"strategy":5}}',
    "json: cannot unmarshal number into Go struct field LeaseSpec.spec.strategy of type v1.CoordinatedLeaseStrategy",
  ],
  [
    node,
    '{"status":{"capacity":{"cpu":"1Zi"}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [
    node,
    '{"status":{"capacity":{"cpu":"abc"}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [
    node,
    '{"status":{"capacity":{"cpu":""}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [
    node,
    '{"status":{"capacity":{"cpu":"..5"}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [node, '{"status":{"capacity":{"cpu":"1e"}}}', "unable to parse quantity's suffix"],
  [
    node,
    '{"status":{"capacity":{"cpu":"1,5"}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [
    node,
    '{"status":{"capacity":{"cpu":"1KI"}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [node, '{"status":{"capacity":{"cpu":"1ki"}}}', "unable to parse quantity's suffix"],
  [node, '{"status":{"capacity":{"cpu":"1mm"}}}', "unable to parse quantity's suffix"],
  [
    node,
    '{"status":{"capacity":{"cpu":true}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [
    node,
    '{"status":{"capacity":{"cpu":{}}}}',
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  ],
  [
    node,
    '{"status":{"capacity":5}}',
    "json: cannot unmarshal number into Go struct field NodeStatus.status.capacity of type v1.ResourceList",
  ],
  [
    node,
    '{"status":{"addresses":[{"type":5}]}}',
    "json: cannot unmarshal number into Go struct field NodeAddress.status.addresses.type of type v1.NodeAddressType",
  ],
  [
    node,
    '{"status":{"images":[{"sizeBytes":1.5}]}}',
    "json: cannot unmarshal number 1.5 into Go struct field ContainerImage.status.images.sizeBytes of type int64",
  ],
  [
    namespace,
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
