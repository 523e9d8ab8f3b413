import assert from "node:assert/strict";
import { test } from "node:test";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { ALL_KINDS } from "../kinds/mod.ts";
import { encodeGnostic } from "./gnostic.ts";
import { createOpenApiV2, GNOSTIC_V2 } from "./v2.ts";

const SERVED = ALL_KINDS.map((kind) => ({ kind, verbs: ["create", "get"], subresources: [] }));

/** Splits a message into its fields. */
function readFields(bytes: Uint8Array): (readonly [number, Uint8Array])[] {
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

test("createOpenApiV2() refers to definitions that exist", () => {
  const document = createOpenApiV2(SERVED, "v1.37.2");
  const definitions = document["definitions"] as Record<string, unknown>;
  for (const [, name = ""] of JSON.stringify(document).matchAll(/"#\/definitions\/([^"]+)"/g)) {
    assert.ok(definitions[name], name);
  }
  assert.ok(!JSON.stringify(document).includes("allOf"));
});

test("encodeGnostic() is a gnostic document with the same definitions", () => {
  const document = readFields(encodeGnostic(GNOSTIC_V2, createOpenApiV2(SERVED, "v1.37.2")));
  assert.deepEqual(document.map(([number]) => number), [1, 2, 8, 9, 10, 12, 13]);
  assert.equal(text(document[0]?.[1]), "2.0");
  const definitions = readFields(document[3]?.[1] ?? new Uint8Array()).map(([, named]) => readFields(named));
  const names = definitions.map(([name]) => text(name?.[1]));
  assert.deepEqual(names, Object.keys(createOpenApiV2(SERVED, "v1.37.2")["definitions"] as object));
  const csr = definitions[names.indexOf("io.k8s.api.certificates.v1.CertificateSigningRequest")]?.[1];
  const extension = readFields(csr?.[1] ?? new Uint8Array()).find(([number]) => number === 31);
  const [name, value] = readFields(extension?.[1] ?? new Uint8Array());
  assert.equal(text(name?.[1]), "x-kubernetes-group-version-kind");
  assert.equal(
    text(readFields(value?.[1] ?? new Uint8Array())[0]?.[1]),
    "- group: certificates.k8s.io\n  kind: CertificateSigningRequest\n  version: v1\n",
  );
});
