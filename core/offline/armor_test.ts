import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import {
  type ArmorPart,
  checksum,
  encodeArmor,
  encodeQrTexts,
  findArmorKind,
  hasQrTexts,
  readArmor,
  readQrTexts,
} from "./armor.ts";
import { decodeBase32, encodeBase32 } from "../lib/encodings.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";

const KIND = "tests";
const block = (bytes: Uint8Array<ArrayBuffer>, label = "CERTIFICATE") => ({ label, bytes });
const PARTS: readonly ArmorPart[] = [
  { headers: { "Site": "a3f0" }, sections: {} },
  {
    headers: { "Name": "n1", "Subject": "CN=system:node:n1, O=3D", "Usages": "client auth, server auth" },
    sections: {
      "certificate request": [block(Uint8Array.from({ length: 200 }, (_, at) => at), "CERTIFICATE REQUEST")],
    },
  },
  {
    headers: { "Name": `system:node:${"ü%=> ".repeat(40)}` },
    sections: { "CA 1 that answers": [block(Uint8Array.of(255, 254)), block(Uint8Array.of(253))] },
  },
];
const TEXT = encodeArmor(KIND, PARTS);

function read(text: string): readonly ArmorPart[] | readonly string[] {
  const { parts, faults } = readArmor(text, KIND);
  return faults.length > 0
    ? faults.map(({ message, headers: { Name } }) => Name === undefined ? message : `${message} (${Name.slice(0, 12)})`)
    : parts.map(({ headers, sections }) => ({ headers, sections }));
}

test("encodeArmor() writes short lines of 7-bit text, without blanks at their ends", () => {
  for (const line of TEXT.split("\n")) assert.match(line, /^(?!.* $)[\x20-\x7e]{0,64}$/);
  assert.match(TEXT, /^Usages: client auth, server auth$/m);
  assert.deepEqual(read(TEXT), PARTS);
});

test("encodeArmor() refuses reserved headers, malformed names and an empty list", () => {
  for (const name of ["Document", "Checksum", "A:", "", "A".repeat(41)]) {
    const headers = { [name]: "b" };
    assert.throws(() => encodeArmor(KIND, [{ headers, sections: {} }]), /cannot encode header/);
  }
  assert.throws(() => encodeArmor(KIND, []), /cannot encode 0 parts/);
});

const pieces = TEXT.split(/(?=^# tlsboot )/m);
const quote = (prefix: string) => TEXT.replace(/^/gm, prefix);
for (
  const [name, text] of [
    ["CRLF", TEXT.replaceAll("\n", "\r\n")],
    ["trailing blanks", TEXT.replaceAll("\n", " \t\u00a0\n")],
    ["a quoted reply", quote("> ")],
    ["a reply to a reply", quote(">> > ")],
    ["the bars and blanks of other programs", quote("  | ")],
    ["dash escaping", TEXT.replaceAll("-----BEGIN", "- -----BEGIN").replaceAll("-----END", "- -----END")],
    ["quoted-printable", TEXT.replaceAll("=", "=3D")],
    ["empty lines everywhere", TEXT.replaceAll("\n", "\n\n")],
    ["no empty lines", TEXT.replaceAll("\n\n", "\n")],
    ["a byte order mark", `\ufeff${TEXT}`],
    ["text around and between the parts", `Hello: a\n\n${pieces.join("-- \nus\n")}bye`],
    ["other breaks in the base64", TEXT.replaceAll(/^([A-Za-z0-9+/]{30})([A-Za-z0-9+/]{30})/gm, "$1\n$2")],
    ["parts in another order", pieces.toReversed().join("")],
    ["repeated parts", TEXT + quote("> ")],
    ["an altered copy and the intact part", quote("> ").replace("Name: n1", "Name: n2") + TEXT],
    ["another kind in the same text", encodeArmor("others", PARTS) + TEXT],
  ] as const
) test(`readArmor() reads ${name}`, () => assert.deepEqual(read(text), PARTS));

for (
  const [name, text, want] of [
    ["no part", "hello\n", ["it holds no tests of tlsboot"]],
    ["a cut file", TEXT.slice(0, TEXT.lastIndexOf("//4")), ["part 3 of 3 is cut off (system:node:)"]],
    ["a missing part", pieces[0]! + pieces[2]!, ["part 2 of 3 is missing"]],
    ["two missing parts", pieces[1]!, ["part 1 of 3 is missing", "part 3 of 3 is missing"]],
    [
      "a changed character",
      TEXT.replace("AAEC", "AAED"),
      ["part 2 of 3 is altered: its checksum does not match (n1)"],
    ],
    ["a changed header", TEXT.replace(": n1", ": n7"), ["part 2 of 3 is altered: its checksum does not match (n7)"]],
    ["a changed heading", TEXT.replace("# CA 1", "# CA 2"), [
      "part 3 of 3 is altered: its checksum does not match (system:node:)",
    ]],
    ["a removed line", TEXT.replace(/^AAEC.*\n/m, ""), ["part 2 of 3 is altered: its checksum does not match (n1)"]],
    ["a removed block", TEXT.replace(/-----BEGIN CERTIFICATE-----\n\/\/4=\n.*\n/, ""), [
      "part 3 of 3 is altered: its checksum does not match (system:node:)",
    ]],
    ["a strange line", TEXT.replace(/^AAEC/m, "What?\nAAEC"), ["part 2 of 3 is altered: line 16 cannot be read (n1)"]],
    ["a repeated heading", TEXT.replace("# end of part 3", "# CA 1 that answers\n# end of part 3"), [
      "part 3 of 3 is altered: line 45 cannot be read (system:node:)",
    ]],
    ["a malformed escape", TEXT.replace("%25", "%2"), ["part 3 of 3 is altered"]],
    ["a control character in a header", TEXT.replace(": n1", ": n\u001b1"), [
      "part 2 of 3 is altered: line 9 cannot be read",
    ]],
    ["a changed number", TEXT.replace("part 2 of 3", "part 3 of 3"), ["part 2 of 3 is missing"]],
    ["a number beyond the last", TEXT.replace("part 2 of 3", "part 4 of 3"), [
      "a part whose number cannot be read is altered (n1)",
      "part 2 of 3 is missing",
    ]],
    ["no number", TEXT.replace("# tlsboot tests, part 2 of 3\n", ""), ["part 2 of 3 is missing"]],
    ["two documents", TEXT + encodeArmor(KIND, PARTS.slice(1)), ["it holds parts of more than one document"]],
    [
      "a part of a document with other contents",
      pieces[0]! + pieces[1]! +
      encodeArmor(KIND, [...PARTS.slice(0, 2), PARTS[0]!]).split(/(?=^# tlsboot )/m)[2]!,
      ["it holds parts of more than one document"],
    ],
    ["a changed name of the document", TEXT.replaceAll(/Document: .{8}/g, "Document: AAAAAAAA"), [
      "the checksum of the document does not match",
    ]],
  ] as const
) test(`readArmor() reports the fault: ${name}`, () => assert.deepEqual(read(text), want));

test("readArmor() keeps the intact parts despite a fault, because the first one lists the others", () => {
  assert.deepEqual(readArmor(pieces[0]! + pieces[2]!, KIND).parts.map(({ number }) => number), [1, 3]);
});

test("readArmor() reads what encodeArmor() wrote, and answers for any text", () => {
  const bytes = fc.uint8Array({ maxLength: 200 }).map((list) => block(Uint8Array.from(list)));
  const part = fc.record({
    headers: fc.dictionary(
      fc.constantFrom("Name", "Site", "constructor"),
      fc.oneof(fc.string({ unit: "grapheme" }), fc.stringMatching(/^[=3D %]{0,80}$/)),
    ),
    sections: fc.dictionary(fc.constantFrom("request", "CA 1", "constructor"), fc.array(bytes, { maxLength: 3 })),
  });
  fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
    const plain = parts.map(({ headers, sections }) => ({ headers: { ...headers }, sections: { ...sections } }));
    assert.deepEqual(read(encodeArmor(KIND, plain)), plain);
  }));
  fc.assert(fc.property(fc.nat(TEXT.length), fc.nat(TEXT.length), fc.string(), (from, length, text) => {
    const { faults, parts } = readArmor(TEXT.slice(0, from) + text + TEXT.slice(from + length), KIND);
    if (faults.length === 0) assert.deepEqual(parts.map(({ headers, sections }) => ({ headers, sections })), PARTS);
  }));
});

test("findArmorKind() finds the first part in a text, also a quoted one", () => {
  assert.equal(findArmorKind(`Hello\n>  ${TEXT}`), KIND);
  assert.equal(findArmorKind(`x ${TEXT.slice(0, 40)}`), undefined);
});

test("readArmor() lists the faults of very many parts", () => {
  const title = `# tlsboot ${KIND}, part 1 of 1\n`;
  assert.deepEqual(readArmor(title.repeat(150_000), KIND).faults.map(({ message }) => message), [
    "part 1 of 1 is cut off",
  ]);
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

const random = createSeededRandom(7);
const BUNDLE = Array.from(random.bytes(1_400), (byte) => byte.toString(36)).join("\n");
const TEXTS = encodeQrTexts(BUNDLE) ?? [];

test("encodeQrTexts() uses only letters and digits, and no text is longer than a code of version 19", () => {
  assert.equal(TEXTS.length, 4);
  // 885 characters fit into version 19 at the medium error correction (ISO/IEC 18004 table 7).
  for (const text of TEXTS) assert.match(text, /^TLSB1[A-Z2-7]{8}000\d0004[A-Z2-7]{1,864}$/);
});

for (
  const [name, lines] of [
    ["as printed", TEXTS],
    ["in another order", [...TEXTS].reverse()],
    ["with repeated codes", [...TEXTS, TEXTS[0]!, TEXTS[2]!]],
    ["in lower case", TEXTS.map((text) => text.toLowerCase())],
    ["with blanks, quotes and other lines", ["Scan 1:", ...TEXTS.map((text) => `  "${text}"\t\r`), "", "end"]],
    ["on one line", [TEXTS.join("")]],
    ["with a misread copy of a code", [TEXTS[0]!.slice(0, -3), ...TEXTS]],
  ] as const
) {
  test(`readQrTexts() reads the codes ${name}`, () => {
    assert.deepEqual(readQrTexts(lines.join("\n")), { ok: true, value: BUNDLE });
  });
}

for (
  const [name, lines, want] of [
    ["no codes", ["hello"], ["it holds no codes"]],
    ["missing codes", [TEXTS[1]!, TEXTS[3]!], ["code 1 of 4 is missing", "code 3 of 4 is missing"]],
    ["a cut code", [...TEXTS.slice(0, 3), TEXTS[3]!.slice(0, -1)], ["code 4 of 4 was misread"]],
    [
      "a misread character",
      TEXTS.with(2, TEXTS[2]!.slice(0, 40) + (TEXTS[2]![40] === "A" ? "B" : "A") + TEXTS[2]!.slice(41)),
      ["code 3 of 4 was misread"],
    ],
    ["a changed number", TEXTS.with(1, TEXTS[1]!.replace("00020004", "00090004")), ["code 2 of 4 is missing"]],
    ["nothing but misread codes", [TEXTS[2]!.slice(0, -1)], ["code 3 of 4 was misread"]],
    [
      "codes of two bundles",
      [...TEXTS, ...encodeQrTexts(`${BUNDLE}.`) ?? []],
      ["the codes are of more than one bundle"],
    ],
  ] as const
) {
  test(`readQrTexts() reports the fault: ${name}`, () => {
    assert.deepEqual(readQrTexts(lines.join("\n")), { ok: false, error: want });
  });
}

test("hasQrTexts() finds codes at the start of a line only", () => {
  assert.equal(hasQrTexts(`\n ${TEXTS[0]}`), true);
  assert.equal(hasQrTexts(`x ${TEXTS[0]}`), false);
});

test("readQrTexts() answers for any text", () => {
  const piece = fc.oneof(fc.string(), fc.constantFrom(...TEXTS, "TLSB1", "TLSB1AAAAAAAA00010001AAAAAAAAMY"));
  fc.assert(fc.property(fc.array(piece), (pieces) => {
    assert.equal(typeof readQrTexts(pieces.join("\n")).ok, "boolean");
    hasQrTexts(pieces.join(""));
  }));
});
