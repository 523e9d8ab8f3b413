import assert from "node:assert/strict";
import { test } from "node:test";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { ALL_KINDS } from "../kinds/mod.ts";
import { openapiV2Json, openapiV2Protobuf } from "./v2.ts";

const SERVED = ALL_KINDS.map((kind) => ({ kind, verbs: [], subresources: [] }));

/** Splits a message into its fields. */
function fieldsOf(bytes: Uint8Array): (readonly [number, Uint8Array])[] {
  const reader = new BinaryReader(bytes);
  const fields: (readonly [number, Uint8Array])[] = [];
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    assert.equal(wireType, WireType.LengthDelimited);
    fields.push([number, reader.bytes()]);
  }
  return fields;
}

const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

test("openapiV2Json() refers to definitions that exist", () => {
  const document = openapiV2Json(SERVED, "v1.37.2");
  const definitions = document["definitions"] as Record<string, unknown>;
  for (const [, name = ""] of JSON.stringify(document).matchAll(/"#\/definitions\/([^"]+)"/g)) {
    assert.ok(definitions[name], name);
  }
  assert.ok(!JSON.stringify(document).includes("allOf"));
});

test("openapiV2Protobuf() is a gnostic document with the same definitions", () => {
  const document = fieldsOf(openapiV2Protobuf(SERVED, "v1.37.2"));
  assert.deepEqual(document.map(([number]) => number), [1, 2, 8, 9]);
  assert.equal(text(document[0]?.[1]), "2.0");
  const definitions = fieldsOf(document[3]?.[1] ?? new Uint8Array()).map(([, named]) => fieldsOf(named));
  const names = definitions.map(([name]) => text(name?.[1]));
  assert.deepEqual(names, Object.keys(openapiV2Json(SERVED, "v1.37.2")["definitions"] as object));
  const csr = definitions[names.indexOf("io.k8s.api.certificates.v1.CertificateSigningRequest")]?.[1];
  const extension = fieldsOf(csr?.[1] ?? new Uint8Array()).find(([number]) => number === 31);
  const [name, value] = fieldsOf(extension?.[1] ?? new Uint8Array());
  assert.equal(text(name?.[1]), "x-kubernetes-group-version-kind");
  assert.equal(
    text(fieldsOf(value?.[1] ?? new Uint8Array())[0]?.[1]),
    '[{"group":"certificates.k8s.io","kind":"CertificateSigningRequest","version":"v1"}]',
  );
});
