import assert from "node:assert/strict";
import { test } from "node:test";
import { certificateSigningRequestKind, configMapKind, leaseKind, nodeKind } from "../kinds/mod.ts";
import { findUnstructuredFault } from "./unstructured.ts";

// The answers of a real kube-apiserver 1.37.2 to strategic merge patches and applied configurations.
for (
  const { kind, value, want } of [
    { kind: configMapKind, value: { data: { a: "b" }, unknown: 1, immutable: null }, want: undefined },
    { kind: configMapKind, value: [], want: "cannot restore struct from: slice" },
    { kind: configMapKind, value: { data: { a: 1 } }, want: "cannot convert int64 to string" },
    { kind: configMapKind, value: { data: { a: 1.5 } }, want: "unrecognized type: string" },
    { kind: configMapKind, value: { data: { a: true } }, want: "unrecognized type: string" },
    { kind: configMapKind, value: { data: "x" }, want: "cannot restore map from string" },
    { kind: configMapKind, value: { immutable: "yes" }, want: "unrecognized type: bool" },
    { kind: configMapKind, value: { metadata: { finalizers: "x" } }, want: "cannot restore slice from string" },
    { kind: configMapKind, value: { metadata: 5 }, want: "cannot restore struct from: int64" },
    { kind: configMapKind, value: { binaryData: { a: 1 } }, want: "cannot restore slice from int64" },
    {
      kind: configMapKind,
      value: { binaryData: { a: "*" } },
      want: "error decoding from json: illegal base64 data at input byte 0",
    },
    {
      kind: configMapKind,
      value: { metadata: { deletionTimestamp: 5 } },
      want: "json: cannot unmarshal number into Go value of type string",
    },
    { kind: leaseKind, value: { spec: { leaseDurationSeconds: 15 } }, want: undefined },
    { kind: leaseKind, value: { spec: { leaseDurationSeconds: 1.5 } }, want: "cannot convert float64 to int32" },
    { kind: leaseKind, value: { spec: { leaseDurationSeconds: "15" } }, want: "unrecognized type: int32" },
    {
      kind: leaseKind,
      value: { spec: { renewTime: "noon" } },
      want: 'parsing time "noon" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "noon" as "2006"',
    },
    {
      kind: certificateSigningRequestKind,
      value: { spec: { usages: [1] } },
      want: "cannot convert int64 to v1.KeyUsage",
    },
    { kind: nodeKind, value: { status: { capacity: { cpu: 4, memory: "8Gi" } } }, want: undefined },
  ]
) {
  test(`findUnstructuredFault() of ${JSON.stringify(value)}`, () => {
    assert.equal(findUnstructuredFault(kind.schema, value), want);
  });
}
