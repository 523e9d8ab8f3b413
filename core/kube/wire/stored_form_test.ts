import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import {
  ALL_KINDS,
  certificateSigningRequestKind,
  csiNodeKind,
  leaseKind,
  nodeKind,
  roleKind,
  secretKind,
} from "../kinds/mod.ts";
import { VECTORS } from "../kinds/testdata/vectors.ts";
import { type FieldType, formatApiVersion, type MessageSchema } from "../schema.ts";
import { decodeObject } from "./object_json.ts";
import { decodeEnvelope } from "./protobuf_envelope.ts";
import { decodeMessage, encodeMessage } from "./protobuf.ts";
import { isStoredForm, storedForm } from "./stored_form.ts";

test("storedForm() turns empty lists that Go always writes into null at any depth", () => {
  const role = decodeObject(roleKind.schema, { rules: [] }).object;
  assert.deepEqual(storedForm(roleKind.schema, role), { metadata: {}, rules: null });
  const node = decodeObject(csiNodeKind.schema, {
    spec: { drivers: [{ name: "d", nodeID: "n", topologyKeys: [] }] },
  }).object;
  const spec = Reflect.get(storedForm(csiNodeKind.schema, node), "spec") as unknown;
  assert.deepEqual(spec, { drivers: [{ name: "d", nodeID: "n", topologyKeys: null }] });
});

test("storedForm() returns the same object when nothing changes", () => {
  const role = decodeObject(roleKind.schema, { rules: [{ verbs: ["get"] }] }).object;
  assert.equal(storedForm(roleKind.schema, role), role);
  const csr = decodeObject(certificateSigningRequestKind.schema, { spec: { request: "eA==" } }).object;
  assert.equal(storedForm(certificateSigningRequestKind.schema, csr), csr);
});

/** The values of scalars, some of which protobuf returns in another form. */
const SCALARS: Readonly<Record<string, readonly unknown[]>> = {
  string: ["", "x", "\u2028<ü", "\ud800", "\ufffd"],
  bytes: ["", "YQ==", "YWJj", "YR=="],
  int32: [0, 1, -1, 2 ** 31 - 1],
  int64: [0, 1, -1, 2 ** 53 - 1, 2 ** 62],
  bool: [false, true],
  time: ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00.5Z", "0001-01-01T00:00:00Z"],
  microTime: ["2020-01-01T00:00:00.000001Z", "2020-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"],
  json: [{}, { "f:b": { "f:a": [1, "\ud800", true, null] }, ".": {} }, { 2: 1, 10: 2 }, [undefined], "x", 0],
  quantity: ["0", "1Gi", "1000m", ""],
  intOrString: [0, 443, "", "https", "\ud800"],
};

/** Creates values of a type, whose maps have keys in any order. */
function createValues(type: FieldType, depth: number): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case "message":
      return createObjects(type, depth);
    case "list":
      return fc.array(createValues(type.of, depth - 1), { maxLength: depth > 0 ? 2 : 0 });
    case "map":
      return fc.dictionary(fc.constantFrom("b", "a", "10", "9", "ü"), createValues(type.of, depth - 1), {
        maxKeys: depth > 0 ? 3 : 0,
        noNullPrototype: true,
      });
    default:
      return fc.constantFrom(...SCALARS[type.kind]!);
  }
}

/** Creates objects that have some fields of a message, sometimes with an unknown field or in reverse order. */
function createObjects({ fields }: MessageSchema, depth: number): fc.Arbitrary<object> {
  const names = Object.keys(fields).filter((name) => depth > 0 || fields[name]!.type.kind in SCALARS);
  const isIn = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: names.length, maxLength: names.length });
  return isIn.chain((choices) => {
    const members = names.flatMap((name, index) => {
      const choice = choices[index]!;
      if (choice > 4) return [];
      return [
        fc.tuple(fc.constant(name), choice === 0 ? fc.constant(null) : createValues(fields[name]!.type, depth - 1)),
      ];
    });
    const isOdd = fc.integer({ min: 0, max: 9 });
    return fc.tuple(isOdd, ...members).map(([odd, ...entries]) => {
      const all = entries as [string, unknown][];
      return Object.fromEntries(odd === 0 ? all.reverse() : odd === 1 ? [...all, ["zz", 1]] : all);
    });
  });
}

test("isStoredForm() is true only of an object that protobuf returns unchanged and in the same order", () => {
  const counts = { same: 0, decoded: 0 };
  for (const { schema } of ALL_KINDS) {
    fc.assert(
      fc.property(createObjects(schema, 4), (made) => {
        const canonical = toCanonical(schema, made);
        for (const object of [made, canonical, storedForm(schema, canonical)]) {
          if (!isStoredForm(schema, object)) continue;
          const decoded = decodeMessage(schema, encodeMessage(schema, object));
          assert.equal(JSON.stringify(decoded), JSON.stringify(object));
          assert.deepEqual(decoded, object);
          counts.same++;
        }
        counts.decoded += isStoredForm(schema, decodeMessage(schema, encodeMessage(schema, canonical))) ? 1 : 0;
      }),
      { numRuns: 20 },
    );
  }
  assert.ok(counts.same > 2 * ALL_KINDS.length && counts.decoded > 10 * ALL_KINDS.length, JSON.stringify(counts));
});

/** Returns the canonical form of an object, or of an empty one when it has none. */
function toCanonical(schema: MessageSchema, made: object): object {
  try {
    return decodeObject(schema, made).object;
  } catch {
    return decodeObject(schema, {}).object;
  }
}

for (
  const { name, kind, good, from, to } of [
    {
      name: "labels in another order",
      kind: csiNodeKind,
      good: { metadata: { labels: { a: "2", b: "1" } } },
      from: '"a":"2","b":"1"',
      to: '"b":"1","a":"2"',
    },
    { name: "stray bits of base64", kind: secretKind, good: { data: { a: "YQ==" } }, from: "YQ==", to: "YR==" },
    {
      name: "a fraction of a second",
      kind: csiNodeKind,
      good: { metadata: { creationTimestamp: "2020-01-01T00:00:00Z" } },
      from: "00Z",
      to: "00.5Z",
    },
    {
      name: "a MicroTime without fraction",
      kind: leaseKind,
      good: { spec: { renewTime: "2020-01-01T00:00:00.000000Z" } },
      from: ".000000Z",
      to: "Z",
    },
    {
      name: "a quantity in another unit",
      kind: nodeKind,
      good: { status: { capacity: { cpu: "1" } } },
      from: '"1"',
      to: '"1000m"',
    },
  ]
) {
  test(`isStoredForm() is false if protobuf returns another form: ${name}`, () => {
    const { schema } = kind;
    const canonical = decodeObject(schema, good).object;
    assert.equal(isStoredForm(schema, canonical), true);
    const object = JSON.parse(JSON.stringify(canonical).replace(from, to)) as object;
    assert.notEqual(JSON.stringify(decodeMessage(schema, encodeMessage(schema, object))), JSON.stringify(object));
    assert.equal(isStoredForm(schema, object), false);
  });
}

test("isStoredForm() is true of the objects of real clients and servers, once decoded", () => {
  for (const [name, { protobuf }] of Object.entries(VECTORS)) {
    const { apiVersion, kind, raw } = decodeEnvelope(Buffer.from(protobuf, "base64"));
    const { schema } = ALL_KINDS.find((one) => one.kind === kind && formatApiVersion(one) === apiVersion)!;
    assert.equal(isStoredForm(schema, decodeMessage(schema, raw)), true, name);
  }
});
