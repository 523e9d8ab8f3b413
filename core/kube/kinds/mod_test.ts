import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { decodeObject, encodeObject, jsonText } from "../wire/object_json.ts";
import { parseJson } from "../wire/json_parser.ts";
import { decodeEnvelope, encodeEnvelope } from "../wire/protobuf_envelope.ts";
import { decodeMessage, encodeMessage } from "../wire/protobuf.ts";
import { formatYaml } from "../../lib/yaml/format.ts";
import { parseYaml } from "../wire/yaml.ts";
import { type FieldType, formatApiVersion, type Kind, type MessageSchema } from "../schema.ts";
import { TLSBOOT_GROUP } from "../kinds/constants.ts";
import { ALL_KINDS, findKind, issuedCertificateKind } from "./mod.ts";
import { type Vector, VECTORS } from "./testdata/vectors.ts";

function getVector(kind: Kind): Vector {
  const vector = VECTORS[kind.group === "events.k8s.io" ? "events_v1" : kind.plural];
  assert.ok(vector);
  return vector;
}

for (const kind of ALL_KINDS.filter(({ group }) => group !== TLSBOOT_GROUP)) {
  const name = `${kind.kind} of ${formatApiVersion(kind)}`;

  test(`${name}: JSON to object and back is byte-exact`, () => {
    const { json } = getVector(kind);
    const document = parseJson(json);
    const { object, strictErrors } = decodeObject(kind.schema, document.value, document);
    assert.deepEqual(strictErrors, []);
    assert.equal(jsonText(encodeObject(kind, object)), json);
  });

  test(`${name}: protobuf to object and back is byte-exact, and the object is that of the JSON`, () => {
    const { json, protobuf } = getVector(kind);
    const envelope = decodeEnvelope(Buffer.from(protobuf, "base64"));
    assert.equal(envelope.kind, kind.kind);
    assert.equal(envelope.apiVersion, formatApiVersion(kind));
    const object = decodeMessage(kind.schema, envelope.raw);
    assert.equal(jsonText(encodeObject(kind, object)), json);
    const again = encodeEnvelope(envelope.apiVersion, envelope.kind, encodeMessage(kind.schema, object));
    assert.equal(Buffer.from(again).toString("base64"), protobuf);
  });

  test(`${name}: YAML to object and back is byte-exact`, () => {
    const { json, yaml } = getVector(kind);
    const document = parseYaml(yaml);
    const { object, strictErrors } = decodeObject(kind.schema, document.value, document);
    assert.deepEqual(strictErrors, []);
    assert.equal(jsonText(encodeObject(kind, object)), json);
    assert.equal(formatYaml(encodeObject(kind, object)), yaml);
  });
}

for (const kind of ALL_KINDS) {
  test(`${kind.kind} of ${formatApiVersion(kind)}: an empty object is the same after protobuf`, () => {
    const { object } = decodeObject(kind.schema, {});
    assert.deepEqual(decodeMessage(kind.schema, encodeMessage(kind.schema, object)), object);
    assert.deepEqual(decodeMessage(kind.schema, new Uint8Array()), object);
  });
}

test("IssuedCertificate: JSON to object, protobuf, YAML and back is the same", () => {
  const kind = issuedCertificateKind;
  const json = '{"kind":"IssuedCertificate","apiVersion":"tlsboot/v1alpha1","metadata":{"name":"0000000002"},"spec":' +
    '{"sequence":2,"previousHash":"ab","serialNumber":"0c","dnsNames":["a","b"],"isCA":true,' +
    '"notBefore":"2026-01-01T00:00:00Z","notAfter":null,"issuedAt":"2026-01-01T00:00:00Z",' +
    '"request":{"name":"csr-1"},"removed":{"from":1,"hash":"cd","time":null}},' +
    '"status":{"seal":{"time":null,"issuerFingerprint":"ef","algorithm":"x","signature":"AQ=="}}}';
  const { object, strictErrors } = decodeObject(kind.schema, parseJson(json).value);
  assert.deepEqual(strictErrors, []);
  assert.equal(jsonText(encodeObject(kind, object)), json);
  assert.deepEqual(decodeMessage(kind.schema, encodeMessage(kind.schema, object)), object);
  const yaml = formatYaml(encodeObject(kind, object));
  assert.deepEqual(decodeObject(kind.schema, parseYaml(yaml).value).object, object);
});

test("ALL_KINDS: every message has a description for each field and no number twice", () => {
  const seen = new Set<MessageSchema>();
  const visitType = (type: FieldType): void => {
    if (type.kind === "message") visit(type);
    else if (type.kind === "list" || type.kind === "map") visitType(type.of);
  };
  const visit = (schema: MessageSchema): void => {
    if (seen.has(schema)) return;
    seen.add(schema);
    const numbers = Object.values(schema.fields).map(({ number }) => number);
    assert.equal(new Set(numbers).size, numbers.length, schema.name);
    for (const [name, field] of Object.entries(schema.fields)) {
      assert.ok(field.description, `${schema.name}.${name}`);
      visitType(field.type);
    }
  };
  for (const kind of ALL_KINDS) visit(kind.listSchema);
  assert.ok(seen.size > 60);
});

test("findKind() finds by group, version and name", () => {
  assert.equal(
    findKind("certificates.k8s.io", "v1", "CertificateSigningRequest")?.plural,
    "certificatesigningrequests",
  );
  assert.equal(findKind("", "v1", "Secret")?.namespaced, true);
  assert.equal(findKind("certificates.k8s.io", "v1beta1", "CertificateSigningRequest"), undefined);
  assert.equal(findKind("", "v1", "Pod"), undefined);
});
