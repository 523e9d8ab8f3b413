import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { assertLinear } from "../../tests/support/growth.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { encodeQrTexts, hasQrTexts, readQrTexts } from "./qr_text.ts";

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
  test(`readQrTexts() names what is wrong: ${name}`, () => {
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

test("readQrTexts() takes linear time", async () => {
  for (const unit of ["TLSB1", "TLSB1AAAAAAAA00019999AAAAAAAAMY", `${TEXTS[0]}\n`, "' ", "A"]) {
    const input = (size: number) => unit.repeat(Math.ceil(size / unit.length));
    await assertLinear({ input, read: (text) => hasQrTexts(text) || readQrTexts(text), limit: 2 ** 19 });
  }
});
