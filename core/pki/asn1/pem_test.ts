import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { decodeBase64, encodeBase64 } from "../../lib/encodings.ts";
import { encodePem, findPemBlock, parsePemBlocks } from "./pem.ts";

const block = "-----BEGIN X-----\nQUJD\n-----END X-----\n";

for (
  const { name, text, want } of [
    { name: "a plain block", text: block, want: "X:ABC" },
    { name: "text before and after", text: `hello\n${block}world`, want: "X:ABC" },
    { name: "the first of two", text: block + block.replaceAll("X", "Y"), want: "X:ABC" },
    { name: "CRLF", text: block.replaceAll("\n", "\r\n"), want: "X:ABC" },
    { name: "headers", text: "-----BEGIN X-----\nA: b\nC: d\n\nQUJD\n-----END X-----", want: "X:ABC" },
    { name: "headers and no bytes", text: "-----BEGIN X-----\nA: b\n\n-----END X-----\n", want: "X:" },
    { name: "a tab after the END line", text: `${block.trimEnd()}\t\n`, want: "X:ABC" },
    { name: "an empty block", text: "-----BEGIN X-----\n-----END X-----\n", want: "X:" },
    { name: "blanks in the base64", text: "-----BEGIN X-----\nQU JD\t\n-----END X-----  \n", want: "X:ABC" },
    { name: "the block after one with bad base64", text: block.replace("QUJD", "QU!D") + block, want: "X:ABC" },
    { name: "the block after a BEGIN without END", text: "-----BEGIN Q-----\nQQ==\n" + block, want: "X:ABC" },
    {
      name: "the block after one whose labels differ",
      text: block.replace("END X", "END Y") + block.replaceAll("X", "Z"),
      want: "Z:ABC",
    },
    { name: "the block after an END", text: `\n-----END X-----\n${block}`, want: "X:ABC" },
    { name: "a header without a name", text: block.replace("QUJD", ": b\n\nQUJD"), want: "X:ABC" },
    { name: "the block after one with only headers", text: block.replace("QUJD", "A: b") + block, want: "X:ABC" },
    {
      name: "an END line that is a header",
      text: "-----BEGIN X-----\nA: b\n-----END X-----:\n" + block,
      want: undefined,
    },
    { name: "a BEGIN line without dashes", text: block.replace("-----\n", "AAAAA\n"), want: undefined },
    { name: "text after the END line", text: `${block.trimEnd()}a\n`, want: undefined },
    { name: "a character after the END line without a line break", text: `${block.trimEnd()}a`, want: undefined },
    { name: "nothing", text: "", want: undefined },
    { name: "no block", text: "invalid data", want: undefined },
    { name: "no END", text: "-----BEGIN X-----\nQUJD\n", want: undefined },
    { name: "a BEGIN in the middle of a line", text: "a" + block, want: undefined },
    { name: "base64 without padding", text: block.replace("QUJD", "QUI"), want: undefined },
  ]
) {
  test(`findPemBlock() finds ${want ?? "no block"}: ${name}`, () => {
    const found = findPemBlock(text);
    assert.equal(found && `${found.block.label}:${new TextDecoder().decode(found.block.bytes)}`, want);
  });
}

test("findPemBlock() returns headers and the rest", () => {
  const found = findPemBlock("-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\n__proto__: a\n\nQUJD\n-----END X-----\nrest");
  assert.deepEqual(Object.entries(found?.block.headers ?? {}), [["Proc-Type", "4,ENCRYPTED"], ["__proto__", "a"]]);
  assert.equal(found?.rest, "rest");
});

test("findPemBlock() takes linear time over a flood of END lines", () => {
  assert.equal(findPemBlock("\n-----END X-----".repeat(100_000)), undefined);
});

test("encodePem() writes 64 columns and a trailing newline", () => {
  const lines = encodePem("X", new Uint8Array(100)).split("\n");
  assert.deepEqual(lines.map(({ length }) => length), [17, 64, 64, 8, 15, 0]);
  assert.equal(encodePem("X", new Uint8Array(48)).split("\n").length, 4);
});

test("parsePemBlocks() reads the output of encodePem(), whatever the bytes", () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 }), (contents) => {
    const text = contents.map((bytes) => encodePem("SOME LABEL", bytes)).join("text\n");
    assert.deepEqual(parsePemBlocks(text).map(({ bytes }) => [...bytes]), contents.map((bytes) => [...bytes]));
  }));
});

test("parsePemBlocks() never throws", () => {
  const pieces = fc.constantFrom("-----BEGIN ", "-----END ", "-----", "\n", "\r", "X", "QUJD", "=", ": ", " ");
  fc.assert(fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => void parsePemBlocks(parts.join(""))));
});

for (const text of ["QQ", "QQ=", "Q===", "-_--", "QQ==QQ==", " QQ==", "QQ=\u00e9"]) {
  test(`decodeBase64() refuses ${JSON.stringify(text)}`, () => assert.equal(decodeBase64(text), undefined));
}

test("decodeBase64() reads the output of encodeBase64()", () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    assert.deepEqual([...decodeBase64(encodeBase64(bytes)) ?? []], [...bytes]);
  }));
});
