import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "../../../tests/support/properties.ts";
import {
  ALL_KINDS,
  apiResourceListSchema,
  certificateSigningRequestKind,
  findKind,
  leaseKind,
  secretKind,
  selfSubjectAccessReviewKind,
  serviceKind,
  statusSchema,
} from "../kinds/mod.ts";
import { APPROVAL_PUT, CAN_I_CREATE_CSR, CAN_I_GET_HEALTHZ } from "../kinds/testdata/kubectl.ts";
import { VECTORS } from "../kinds/testdata/vectors.ts";
import { formatApiVersion } from "../schema.ts";
import { decodeObject } from "./object_json.ts";
import { DecodeError } from "../json_value.ts";
import { parseJson } from "./json_parser.ts";
import {
  decodeEnvelope,
  decodeList,
  encodeEnvelope,
  encodeListItem,
  encodeListOfItems,
  encodeWatchFrame,
} from "./protobuf_envelope.ts";
import { decodeMessage, encodeMessage } from "./protobuf.ts";

/** Decodes a whole body and encodes it again. */
function roundTrip(body: Uint8Array): { readonly object: Record<string, unknown>; readonly again: Uint8Array } {
  const { apiVersion, kind, raw } = decodeEnvelope(body);
  const [group = "", version = ""] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  const found = findKind(group, version, kind);
  assert.ok(found);
  const object = decodeMessage(found.schema, raw);
  return { object, again: encodeEnvelope(apiVersion, kind, encodeMessage(found.schema, object)) };
}

/** Encodes a field that holds bytes. */
function field(number: number, bytes: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish();
}

for (const number of ["1e400", "-1.5E+999", `1${"0".repeat(309)}`]) {
  test(`a number of a FieldsV1 that is beyond the range of a float keeps its text: ${number.slice(0, 9)}`, () => {
    const fieldsV1 = `{"f:a":[${number},"${number}",2]}`;
    const body = field(1, field(17, field(7, field(1, Buffer.from(fieldsV1)))));
    const object = decodeMessage(leaseKind.schema, body);
    assert.ok(JSON.stringify(object).includes(`"fieldsV1":${fieldsV1}`));
    const again = decodeMessage(leaseKind.schema, encodeMessage(leaseKind.schema, object));
    assert.equal(JSON.stringify(again), JSON.stringify(object));
  });
}

// The bytes of `IntOrString.Marshal` (apimachinery pkg/util/intstr/generated.pb.go): type, number and text, all always.
for (
  const { targetPort, want } of [
    { targetPort: 443, want: "080010bb031a00" },
    { targetPort: "https", want: "080110001a056874747073" },
    { targetPort: undefined, want: "080010001a00" },
  ]
) {
  test(`an IntOrString is a message that states its type: ${targetPort}`, () => {
    const document = { spec: { ports: [{ port: 80, ...(targetPort === undefined ? {} : { targetPort }) }] } };
    const { object } = decodeObject(serviceKind.schema, document);
    const bytes = Buffer.from(encodeMessage(serviceKind.schema, object));
    assert.ok(bytes.toString("hex").includes(want), bytes.toString("hex"));
    assert.deepEqual(decodeMessage(serviceKind.schema, bytes), object);
  });
}

test("decodeMessage() reads the approval that kubectl puts, and encodeMessage() writes it back", () => {
  const { object, again } = roundTrip(Buffer.from(APPROVAL_PUT, "base64"));
  assert.equal(Buffer.from(again).toString("base64"), APPROVAL_PUT);
  const { spec, status, metadata } = object as Record<string, Record<string, unknown>>;
  assert.equal(metadata?.["name"], "csr-a");
  assert.equal(metadata?.["resourceVersion"], "101");
  assert.deepEqual(spec?.["usages"], ["digital signature", "client auth"]);
  assert.deepEqual(spec?.["groups"], ["system:bootstrappers", "system:authenticated"]);
  assert.equal(spec?.["uid"], undefined);
  assert.equal(spec?.["expirationSeconds"], undefined);
  assert.equal(status?.["certificate"], undefined);
  const [condition] = status?.["conditions"] as Record<string, unknown>[];
  assert.equal(condition?.["reason"], "KubectlApprove");
  assert.match(String(condition?.["lastUpdateTime"]), /^\d{4}-.*Z$/);
  assert.equal(condition?.["lastTransitionTime"], null);
});

for (
  const [name, hex, attributes] of [
    ["can-i get /healthz", CAN_I_GET_HEALTHZ, { nonResourceAttributes: { path: "/healthz", verb: "get" } }],
    ["can-i create csr", CAN_I_CREATE_CSR, {
      resourceAttributes: {
        namespace: "default",
        verb: "create",
        group: "certificates.k8s.io",
        resource: "certificatesigningrequests",
      },
    }],
  ] as const
) {
  test(`decodeMessage() reads the review of ${name}, and encodeMessage() writes it back`, () => {
    const { object, again } = roundTrip(Buffer.from(hex, "hex"));
    assert.deepEqual(object, { metadata: {}, spec: attributes, status: { allowed: false } });
    assert.equal(Buffer.from(again).toString("hex"), hex);
  });
}

test("encodeMessage() writes zero scalars, but not pointers and lists that are not set", () => {
  const bytes = encodeMessage(selfSubjectAccessReviewKind.schema, {
    metadata: {},
    spec: {},
    status: { allowed: false },
  });
  assert.equal(Buffer.from(bytes).toString("hex"), "0a100a0012001a0022002a003200380042001200" + "1a08080012001a002000");
  assert.deepEqual(encodeMessage(selfSubjectAccessReviewKind.schema, {}), bytes);
});

test("encodeMessage() writes negative numbers in ten bytes and zero times as empty messages", () => {
  const lease = { metadata: { generation: -1 }, spec: { leaseTransitions: -1 } };
  const bytes = encodeMessage(leaseKind.schema, lease);
  const hex = Buffer.from(bytes).toString("hex");
  assert.ok(hex.includes("38ffffffffffffffffff014200"));
  assert.ok(hex.endsWith("120b28ffffffffffffffffff01"));
  assert.deepEqual(decodeMessage(leaseKind.schema, bytes), lease);
});

test("encodeMessage() sorts map keys by bytes", () => {
  const data = { "\ufb01": "YQ==", "😀": "Yg==", b: "", a: "Yw==" };
  const bytes = Buffer.from(encodeMessage(secretKind.schema, { metadata: {}, data }));
  const places = ["a", "b", "\ufb01", "😀"].map((key) =>
    bytes.indexOf(Buffer.concat([Buffer.from([10, Buffer.byteLength(key)]), Buffer.from(key)]))
  );
  assert.deepEqual(places, places.toSorted((x, y) => x - y));
  assert.deepEqual(decodeMessage(secretKind.schema, bytes), { metadata: {}, data });
});

test("decodeMessage() drops the nanoseconds of a Time and refuses one that cannot be printed", () => {
  const secretCreatedAt = (seconds: bigint): Uint8Array => {
    const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).fork().tag(8, WireType.LengthDelimited).fork();
    return writer.tag(1, WireType.Varint).int64(seconds).tag(2, WireType.Varint).int32(999_999_999).join().join()
      .finish();
  };
  assert.deepEqual(decodeMessage(secretKind.schema, secretCreatedAt(2n ** 31n)), {
    metadata: { creationTimestamp: "2038-01-19T03:14:08Z" },
  });
  assert.throws(() => decodeMessage(secretKind.schema, secretCreatedAt(2n ** 62n)), DecodeError);
});

test("decodeMessage() sorts maps, whatever the order on the wire", () => {
  const entry = (key: string): number[] => [0x5a, 6, 0x0a, 1, key.charCodeAt(0), 0x12, 1, 0x31];
  const labels = [...entry("b"), ...entry("a")];
  const object = decodeMessage(secretKind.schema, Uint8Array.from([0x0a, labels.length, ...labels]));
  assert.equal(JSON.stringify(object), '{"metadata":{"labels":{"a":"1","b":"1"}}}');
});

test("decodeMessage() keeps lists in wrapped messages (Verbs)", () => {
  const resource = { name: "a", singularName: "", namespaced: false, kind: "A", verbs: ["get", "list"] };
  const list = { groupVersion: "v1", resources: [resource] };
  const bytes = encodeMessage(apiResourceListSchema, list);
  assert.deepEqual(decodeMessage(apiResourceListSchema, bytes), list);
  assert.ok(Buffer.from(bytes).toString("hex").includes("220b0a036765740a046c697374"));
});

test("decodeMessage() skips unknown fields and refuses wrong wire types and truncated bytes", () => {
  assert.deepEqual(decodeMessage(statusSchema, Buffer.from("fa3f03616263120161", "hex")), {
    metadata: {},
    status: "a",
  });
  assert.throws(() => decodeMessage(statusSchema, Buffer.from("1001", "hex")), {
    message: "proto: wrong wireType = 0 for field Status",
  });
  assert.throws(() => decodeMessage(statusSchema, Buffer.from("120561", "hex")), DecodeError);
});

test("decodeEnvelope() reports the fault of a body", () => {
  assert.throws(() => decodeEnvelope(new Uint8Array()), { message: "empty data" });
  assert.throws(() => decodeEnvelope(Buffer.from("k8s\0")), { message: "empty body" });
  assert.throws(() => decodeEnvelope(Buffer.from('{"kind":"x"}')), {
    message: "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
  });
  assert.throws(() => decodeEnvelope(Buffer.from("k8s\0\x0a\xff", "latin1")), DecodeError);
});

test("encodeListOfItems() and decodeList() keep a list", () => {
  const items = ["a", "b"].map((name) =>
    decodeObject(certificateSigningRequestKind.schema, { metadata: { name } }).object
  );
  const encoded = items.map((item) => encodeListItem(certificateSigningRequestKind, item));
  const body = encodeListOfItems(certificateSigningRequestKind, { resourceVersion: "7" }, encoded);
  const envelope = decodeEnvelope(Buffer.concat(body));
  assert.equal(envelope.kind, "CertificateSigningRequestList");
  assert.equal(envelope.apiVersion, formatApiVersion(certificateSigningRequestKind));
  const list = decodeList(certificateSigningRequestKind, envelope.raw);
  assert.deepEqual(list, { metadata: { resourceVersion: "7" }, items });
  const empty = decodeEnvelope(Buffer.concat(encodeListOfItems(secretKind, {}, [])));
  assert.deepEqual(decodeList(secretKind, empty.raw), { metadata: {}, items: [] });
});

test("encodeWatchFrame() writes length, type and the envelope in a RawExtension", () => {
  const envelope = encodeEnvelope("v1", "Secret", Uint8Array.of(1, 2));
  const added = encodeWatchFrame("ADDED", envelope);
  const length = Buffer.from(Uint8Array.of(0, 0, 0, added.length - 4));
  const event = Buffer.concat([
    Buffer.from([0x0a, 5]),
    Buffer.from("ADDED"),
    Buffer.from([0x12, envelope.length + 2, 0x0a, envelope.length]),
    envelope,
  ]);
  assert.deepEqual(Buffer.from(added), Buffer.concat([length, event]));
});

test("decodeMessage() throws only DecodeError, whatever the bytes", () => {
  const vectors = Object.values(VECTORS).map(({ protobuf }) => decodeEnvelope(Buffer.from(protobuf, "base64")).raw);
  const damaged = fc.tuple(fc.constantFrom(...vectors), fc.nat(), fc.nat(255)).map(([bytes, at, byte]) => {
    const copy = Uint8Array.from(bytes);
    copy[at % copy.length] = byte;
    return copy;
  });
  fc.assert(
    fc.property(fc.constantFrom(...ALL_KINDS), fc.oneof(fc.uint8Array(), damaged), (kind, bytes) => {
      for (const decode of [() => decodeMessage(kind.schema, bytes), () => decodeEnvelope(bytes)]) {
        try {
          decode();
        } catch (error) {
          assert.ok(error instanceof DecodeError, String(error));
        }
      }
    }),
    { numRuns: 500 },
  );
});

test("decodeMessage() keeps numbers near 2^63 within an int64, in protobuf and in its JSON", () => {
  const { schema } = leaseKind;
  for (const number of [2n ** 63n - 1n, -(2n ** 63n), 2n ** 63n - 1025n]) {
    const metadata = new BinaryWriter().tag(7, WireType.Varint).int64(number).finish();
    const object = decodeMessage(schema, new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(metadata).finish());
    assert.deepEqual(decodeMessage(schema, encodeMessage(schema, object)), object);
    const printed = BigInt(JSON.stringify((object["metadata"] as Record<string, unknown>)["generation"]));
    assert.equal(BigInt.asIntN(64, printed), printed);
    const document = parseJson(`{"metadata":{"generation":${number}}}`);
    assert.deepEqual(decodeObject(schema, document.value, document).object["metadata"], object["metadata"]);
  }
});

test("decodeMessage() and encodeMessage() agree with Date about every time, whatever time was converted before", () => {
  const { schema } = leaseKind;
  const [min, max] = ["0001-01-02T00:00:00Z", "9999-12-31T23:59:59Z"].map((text) => new Date(text));
  const dates = fc.date({ min: min!, max: max!, noInvalidDate: true });
  fc.assert(fc.property(dates, (date) => {
    const creationTimestamp = `${date.toISOString().slice(0, 19)}Z`;
    const seconds = new BinaryWriter().tag(1, WireType.Varint).int64(Math.floor(date.getTime() / 1000)).finish();
    const object = decodeMessage(schema, field(1, field(8, seconds)));
    assert.deepEqual(object["metadata"], { creationTimestamp });
    assert.deepEqual(decodeMessage(schema, encodeMessage(schema, object)), object);
  }));
});
