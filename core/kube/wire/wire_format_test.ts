import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "../../../tests/support/properties.ts";
import { WireWriter } from "./wire_format.ts";

type Field =
  & { readonly number: number }
  & (
    | { readonly kind: "bool"; readonly value: boolean }
    | { readonly kind: "int32" | "int64"; readonly value: number }
    | { readonly kind: "double"; readonly value: number }
    | { readonly kind: "bigint"; readonly value: bigint }
    | { readonly kind: "string"; readonly value: string }
    | { readonly kind: "bytes" | "base64"; readonly value: Uint8Array<ArrayBuffer> }
    | { readonly kind: "message"; readonly value: readonly Field[] }
  );

/** Text of these code units: of surrogates without a partner too. */
const textFrom = (unit: fc.Arbitrary<number>): fc.Arbitrary<string> =>
  fc.array(unit, { maxLength: 150, size: "max" }).map((units) => String.fromCharCode(...units));
const text = fc.oneof(
  textFrom(fc.nat(0x7f)),
  textFrom(fc.nat(0xff)),
  textFrom(fc.nat(0xffff)),
  textFrom(fc.integer({ min: 0xd7ff, max: 0xe000 })),
);
const int64 = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer(),
  fc.tuple(fc.nat(63), fc.constantFrom(1, -1)).map(([power, sign]) =>
    sign * (2 ** power - (power < 54 ? 1 : 2 ** (power - 53)))
  ),
  fc.constant(-(2 ** 63)),
);
const { fields } = fc.letrec<{ fields: readonly Field[]; field: Field }>((tie) => ({
  fields: fc.array(tie("field"), { maxLength: 6, depthIdentifier: "message", size: "max" }),
  field: fc.tuple(
    fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 2 ** 29 - 1 })),
    fc.oneof(
      { depthIdentifier: "message", depthSize: "medium" },
      fc.record({ kind: fc.constant("bool" as const), value: fc.boolean() }),
      fc.record({ kind: fc.constant("int32" as const), value: fc.integer() }),
      fc.record({ kind: fc.constant("int64" as const), value: int64 }),
      fc.record({ kind: fc.constant("double" as const), value: fc.double() }),
      fc.record({ kind: fc.constant("bigint" as const), value: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) }),
      fc.record({ kind: fc.constant("string" as const), value: text }),
      fc.record({
        kind: fc.constantFrom("bytes" as const, "base64" as const),
        value: fc.uint8Array({ maxLength: 300, size: "max" }),
      }),
      fc.record({ kind: fc.constant("message" as const), value: tie("fields") }),
    ),
  ).map(([number, field]) => ({ number, ...field })),
}));

test("WireWriter writes the same bytes as BinaryWriter of @bufbuild/protobuf", () => {
  fc.assert(fc.property(fields, (message) => isAsExpected(message)), { numRuns: 500 });
});

test("WireWriter writes a message that is larger than any before, and small ones after it", () => {
  const large: readonly Field[] = [
    { number: 1, kind: "string", value: "first" },
    { number: 2, kind: "message", value: [{ number: 1, kind: "string", value: "\u20ac".repeat(1_000_000) }] },
    { number: 3, kind: "bytes", value: new Uint8Array(20_000).fill(7) },
  ];
  for (const message of [large.slice(2), large, large.slice(0, 1)]) assert.ok(isAsExpected(message));
});

test("WireWriter grows in time, wherever a field reaches the start of its buffer", () => {
  for (let length = 2 ** 14 - 20; length < 2 ** 14 + 20; length++) {
    const content: Field = { number: 2, kind: "bytes", value: new Uint8Array(length).fill(7) };
    assert.ok(isAsExpected([{ number: 1, kind: "bool", value: true }, content]), String(length));
  }
});

test("WireWriter skips characters that are not base64, as Buffer does", () => {
  for (const base64 of ["", "YQ==", "Y\nW\nI=", "YQ", "!", "YWJj\r\nZA==\r\n"]) {
    const writer = new WireWriter();
    writer.base64(1, base64);
    writer.string(2, "after");
    const bytes = new BinaryWriter().tag(2, WireType.LengthDelimited).string("after");
    bytes.tag(1, WireType.LengthDelimited).bytes(Uint8Array.from(Buffer.from(base64, "base64")));
    assert.deepEqual(writer.finish(), bytes.finish());
  }
});

for (
  const { kind, value } of [
    { kind: "int32", value: 2 ** 31 },
    { kind: "int32", value: -(2 ** 31) - 1 },
    { kind: "int32", value: 0.5 },
    { kind: "int32", value: NaN },
    { kind: "int64", value: 2 ** 63 },
    { kind: "int64", value: -(2 ** 63) - 2048 },
    { kind: "int64", value: 0.5 },
    { kind: "int64", value: NaN },
  ] as const
) {
  test(`WireWriter refuses ${value} as ${kind}, and the next one works as before`, () => {
    const writer = new WireWriter();
    writer.string(1, "given up");
    assert.throws(() => writer[kind](1, value), { message: `invalid ${kind}: ${value}` });
    assert.deepEqual(written([{ number: 1, kind: "bool", value: true }]), Uint8Array.of(0x08, 1));
  });
}

test("WireWriter refuses a bigint beyond 64 bits", () => {
  for (const value of [2n ** 63n, -(2n ** 63n) - 1n]) {
    assert.throws(() => new WireWriter().int64(1, value), { message: `invalid int64: ${value}` });
  }
});

test("two WireWriters in use at once do not mix their bytes", () => {
  const outer = new WireWriter();
  outer.string(2, "outer");
  assert.deepEqual(
    written([{ number: 1, kind: "string", value: "inner" }]),
    Uint8Array.of(0x0a, 5, ...Buffer.from("inner")),
  );
  outer.bool(1, true);
  const bytes = outer.finish();
  written([{ number: 1, kind: "string", value: "later" }]);
  assert.deepEqual(bytes, Uint8Array.of(0x08, 1, 0x12, 5, ...Buffer.from("outer")));
});

function isAsExpected(message: readonly Field[]): boolean {
  return Buffer.compare(written(message), expected(message)) === 0;
}

function written(message: readonly Field[]): Uint8Array {
  const writer = new WireWriter();
  write(writer, message);
  return writer.finish();
}

function write(writer: WireWriter, message: readonly Field[]): void {
  for (const field of message.toReversed()) {
    switch (field.kind) {
      case "bool":
        writer.bool(field.number, field.value);
        break;
      case "int32":
      case "int64":
        writer[field.kind](field.number, field.value);
        break;
      case "double":
        writer.double(field.number, field.value);
        break;
      case "bigint":
        writer.int64(field.number, field.value);
        break;
      case "string":
        writer.string(field.number, field.value);
        break;
      case "bytes":
        writer.bytes(field.number, field.value);
        break;
      case "base64":
        writer.base64(field.number, Buffer.from(field.value).toString("base64"));
        break;
      case "message":
        writer.nested(field.number, () => write(writer, field.value));
    }
  }
}

/** Decodes with the other library, in the order in which it reads. */
function expected(message: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const { number, kind, value } of message) {
    switch (kind) {
      case "bool":
        writer.tag(number, WireType.Varint).bool(value);
        break;
      case "int32":
        writer.tag(number, WireType.Varint).int32(value);
        break;
      case "int64":
      case "bigint":
        writer.tag(number, WireType.Varint).int64(BigInt(value));
        break;
      case "double":
        writer.tag(number, WireType.Bit64).double(value);
        break;
      case "string":
        writer.tag(number, WireType.LengthDelimited).string(value);
        break;
      case "bytes":
      case "base64":
        writer.tag(number, WireType.LengthDelimited).bytes(value);
        break;
      case "message":
        writer.tag(number, WireType.LengthDelimited).bytes(expected(value));
    }
  }
  return writer.finish();
}
