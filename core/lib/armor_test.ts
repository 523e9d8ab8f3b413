import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { assertLinear } from "../../tests/support/growth.ts";
import { type ArmorPart, checksum, decodeBase32, encodeArmor, encodeBase32, readArmor } from "./armor.ts";

const LABEL = "TLSBOOT TEST";
const PARTS: readonly ArmorPart[] = [
  { headers: { "Site": "a3f0" }, bytes: new Uint8Array(0) },
  { headers: { "Name": "n1" }, bytes: Uint8Array.from({ length: 200 }, (_, at) => at) },
  { headers: { "Name": `system:node:${"ü%=> ".repeat(40)}` }, bytes: Uint8Array.of(255, 254, 253) },
];
const TEXT = encodeArmor(LABEL, PARTS);

function read(text: string): readonly ArmorPart[] | readonly string[] {
  const { parts, faults } = readArmor(text, LABEL);
  return faults.length > 0
    ? faults.map(({ message, headers: { Name } }) => Name === undefined ? message : `${message} (${Name.slice(0, 12)})`)
    : parts.map(({ headers, bytes }) => ({ headers, bytes }));
}

test("encodeArmor() writes short lines of 7-bit text without an equals sign", () => {
  for (const line of TEXT.split("\n")) assert.match(line, /^(?!.*[ =]$)[\x20-\x3c\x3e-\x7e]{0,64}$/);
  assert.deepEqual(read(TEXT), PARTS);
});

test("encodeArmor() refuses headers of its own, malformed names, and no part", () => {
  for (const headers of [{ Part: "1/1" }, { Checksum: "A" }, { "A:": "b" }, { "": "b" }]) {
    assert.throws(() => encodeArmor(LABEL, [{ headers, bytes: new Uint8Array(1) }]), /cannot encode header/);
  }
  assert.throws(() => encodeArmor(LABEL, []), /cannot encode 0 parts/);
});

const quote = (prefix: string) => TEXT.replace(/^/gm, prefix);
for (
  const [name, text] of [
    ["CRLF", TEXT.replaceAll("\n", "\r\n")],
    ["trailing blanks", TEXT.replaceAll("\n", " \t\u00a0\n")],
    ["a quoted reply", quote("> ")],
    ["a reply to a reply", quote(">> > ")],
    ["the bars and blanks of other programs", quote("  | ")],
    ["dash escaping", TEXT.replaceAll("-----BEGIN", "- -----BEGIN").replaceAll("-----END", "- -----END")],
    ["empty lines everywhere", TEXT.replaceAll("\n", "\n\n")],
    ["no empty lines", TEXT.replaceAll("\n\n", "\n")],
    ["a byte order mark", `\ufeff${TEXT}`],
    ["text around and between the parts", `Hello: a\n\n${TEXT.replaceAll("-----\n-----", "-----\n-- \nus\n-----")}bye`],
    ["other breaks in the base64", TEXT.replaceAll(/^([A-Za-z0-9+/]{30})([A-Za-z0-9+/]{30})/gm, "$1\n$2")],
    ["parts in another order", TEXT.split(/(?=-----BEGIN)/).reverse().join("")],
    ["parts that are there twice", TEXT + quote("> ")],
    ["an altered copy beside the whole part", quote("> ").replace("Name: n1", "Name: n2") + TEXT],
    ["another label in the same text", encodeArmor("OTHER", PARTS) + TEXT],
  ] as const
) test(`readArmor() reads ${name}`, () => assert.deepEqual(read(text), PARTS));

const pieces = TEXT.split(/(?=-----BEGIN)/);
for (
  const [name, text, want] of [
    ["no part", "hello\n", [`no line in it reads "-----BEGIN ${LABEL}-----"`]],
    ["a cut file", TEXT.slice(0, TEXT.lastIndexOf("//79")), ["part 3 of 3 is cut off (system:node:)"]],
    ["a missing part", pieces[0]! + pieces[2]!, ["part 2 of 3 is missing"]],
    ["two missing parts", pieces[1]!, ["part 1 of 3 is missing", "part 3 of 3 is missing"]],
    [
      "a changed character",
      TEXT.replace("AAEC", "AAED"),
      ["part 2 of 3 is altered: its checksum does not match (n1)"],
    ],
    ["a changed header", TEXT.replace(": n1", ": n7"), ["part 2 of 3 is altered: its checksum does not match (n7)"]],
    ["a removed line", TEXT.replace(/^AAEC.*\n/m, ""), ["part 2 of 3 is altered: its checksum does not match (n1)"]],
    ["a strange line", TEXT.replace(/^AAEC/m, "What?\n"), ["part 2 of 3 is altered: line 14 cannot be read (n1)"]],
    ["a malformed escape", TEXT.replace("%25", "%2"), [
      "a part whose number cannot be read is altered",
      "part 3 of 3 is missing",
    ]],
    ["a changed number", TEXT.replace("2/3", "3/3"), ["part 2 of 3 is missing"]],
    ["no number", TEXT.replace("Part: 2/3\n", ""), [
      "a part whose number cannot be read is altered (n1)",
      "part 2 of 3 is missing",
    ]],
    ["two documents", TEXT + encodeArmor(LABEL, PARTS.slice(1)), ["it holds parts of more than one document"]],
    [
      "a part of a document with other contents",
      pieces[0]! + pieces[1]! + encodeArmor(LABEL, [...PARTS.slice(0, 2), PARTS[0]!]).split(/(?=-----BEGIN)/)[2]!,
      ["it holds parts of more than one document"],
    ],
    ["a changed name of the document", TEXT.replaceAll(/Document: .{8}/g, "Document: AAAAAAAA"), [
      "the checksum of the whole does not match",
    ]],
  ] as const
) test(`readArmor() names the fault: ${name}`, () => assert.deepEqual(read(text), want));

test("readArmor() keeps the whole parts beside a fault, so that the first can name the others", () => {
  assert.deepEqual(readArmor(pieces[0]! + pieces[2]!, LABEL).parts.map(({ number }) => number), [1, 3]);
});

test("readArmor() reads what encodeArmor() wrote, and answers for any text", () => {
  const part = fc.record({
    headers: fc.dictionary(fc.constantFrom("Name", "Site", "constructor"), fc.string({ unit: "grapheme" })),
    bytes: fc.uint8Array({ maxLength: 200 }).map((bytes) => Uint8Array.from(bytes)),
  });
  fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
    const plain = parts.map(({ headers, bytes }) => ({ headers: { ...headers }, bytes }));
    assert.deepEqual(read(encodeArmor(LABEL, plain)), plain);
  }));
  fc.assert(fc.property(fc.nat(TEXT.length), fc.nat(TEXT.length), fc.string(), (from, length, text) => {
    const { faults, parts } = readArmor(TEXT.slice(0, from) + text + TEXT.slice(from + length), LABEL);
    if (faults.length === 0) assert.deepEqual(parts.map(({ headers, bytes }) => ({ headers, bytes })), PARTS);
  }));
});

test("readArmor() takes linear time", async () => {
  for (const unit of [`-----BEGIN ${LABEL}-----\n`, "> ", "A: b\n", "AAAA\n", "\t", `${TEXT}`, "Name:%20"]) {
    const input = (size: number) => `-----BEGIN ${LABEL}-----\n` + unit.repeat(Math.ceil(size / unit.length));
    await assertLinear({ input, read: (text) => readArmor(text, LABEL), limit: 2 ** 19 });
  }
});

test("encodeBase32() and decodeBase32() agree with RFC 4648, without padding", () => {
  for (const [text, want] of [["", ""], ["f", "MY"], ["fo", "MZXQ"], ["foob", "MZXW6YQ"], ["foobar", "MZXW6YTBOI"]]) {
    assert.equal(encodeBase32(new TextEncoder().encode(text)), want);
    assert.equal(new TextDecoder().decode(decodeBase32(want!)), text);
  }
  for (const text of ["M", "MZ", "my", "M1", "MY======"]) assert.equal(decodeBase32(text), undefined, text);
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    assert.deepEqual(decodeBase32(encodeBase32(bytes)), Uint8Array.from(bytes));
  }));
});

test("checksum() is the start of SHA-256 in base32", () => {
  assert.equal(checksum(new Uint8Array(0)), "4OYMIQUY");
});
