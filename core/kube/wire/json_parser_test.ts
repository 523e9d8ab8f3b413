import assert from "node:assert/strict";
import { test } from "node:test";
import fc, { anyText } from "../../../tests/support/properties.ts";
import { JsonSyntaxError, listMembers } from "../json_value.ts";
import { parseJson } from "./json_parser.ts";

/** Text and the error of sigs.k8s.io/json for it, recorded from the library. */
const FAULTS: readonly (readonly [string, string])[] = [
  ["", "unexpected end of JSON input"],
  ["{", "unexpected end of JSON input"],
  ["}", "invalid character '}' looking for beginning of value"],
  ['{"a"', "unexpected end of JSON input"],
  ['{"a":', "unexpected end of JSON input"],
  ['{"a":1', "unexpected end of JSON input"],
  ['{"a":1,', "unexpected end of JSON input"],
  ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
  ["{a:1}", "invalid character 'a' looking for beginning of object key string"],
  ["[1,]", "invalid character ']' looking for beginning of value"],
  ["[1 2]", "invalid character '2' after array element"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b":2}', "invalid character '\"' after object key:value pair"],
  ["nul", "invalid character ' ' in literal null (expecting 'l')"],
  ["nulx", "invalid character 'x' in literal null (expecting 'l')"],
  ["tru", "invalid character ' ' in literal true (expecting 'e')"],
  ["trux", "invalid character 'x' in literal true (expecting 'e')"],
  ["fals!", "invalid character '!' in literal false (expecting 'e')"],
  ["-", "invalid character ' ' in numeric literal"],
  ["-x", "invalid character 'x' in numeric literal"],
  ["1.", "invalid character ' ' after decimal point in numeric literal"],
  ["1.x", "invalid character 'x' after decimal point in numeric literal"],
  ["1e", "invalid character ' ' in exponent of numeric literal"],
  ["1ex", "invalid character 'x' in exponent of numeric literal"],
  ["1e+x", "invalid character 'x' in exponent of numeric literal"],
  ["01", "invalid character '1' after top-level value"],
  ["1 1", "invalid character '1' after top-level value"],
  ['{"a":01}', "invalid character '1' after object key:value pair"],
  ["[01]", "invalid character '1' after array element"],
  ['"\\x"', "invalid character 'x' in string escape code"],
  ['"\\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"],
  ['"\n"', "invalid character '\\n' in string literal"],
  ['"\t', "invalid character '\\t' in string literal"],
  ['"abc', "unexpected end of JSON input"],
  ["\u00e9", "invalid character '\u00c3' looking for beginning of value"],
  ["'a'", "invalid character '\\'' looking for beginning of value"],
  ['{"a":"\u0001"}', "invalid character '\\x01' in string literal"],
  ["\ufeff{}", "invalid character '\u00ef' looking for beginning of value"],
  ["{}x", "invalid character 'x' after top-level value"],
  ["\u007f", "invalid character '\\x7f' looking for beginning of value"],
  ["\u00a0", "invalid character '\u00c2' looking for beginning of value"],
  ["[1}", "invalid character '}' after array element"],
  ['{"a":1]', "invalid character ']' after object key:value pair"],
  [".5", "invalid character '.' looking for beginning of value"],
  ["+1", "invalid character '+' looking for beginning of value"],
  ['{"a":tRue}', "invalid character 'R' in literal true (expecting 'r')"],
  ["\\", "invalid character '\\\\' looking for beginning of value"],
  ['"\\', "invalid character ' ' in string escape code"],
];

for (const [text, message] of FAULTS) {
  test(`parseJson() refuses ${JSON.stringify(text)} in Go's words`, () => {
    assert.throws(() => parseJson(text), { name: "JsonSyntaxError", code: "invalid", message });
  });
}

test("parseJson() agrees with JSON.parse", () => {
  fc.assert(fc.property(fc.json(), (text) => {
    assert.deepEqual(parseJson(text).value, JSON.parse(text));
  }));
});

test("parseJson() reads the output of an encoder like any other text", () => {
  const texts = [
    '{"a":"b","c":[1,-1.5,true,null,{}],"d":1e+21,"é":"\\n"}',
    '{"a":1}\n',
    '{"a":1,"a":2}',
    '{"a":[1.0,-0,1e3,9223372036854775808]}',
    '{"1":1,"2":{"b":1,"1":2}}',
    '{"__proto__":{"a":1},"b":1}',
    '["\\ud800"]',
    '["\\u2028","\\\\u"]',
    '{"a":"\ud800"}',
    '{"a":1',
    "[".repeat(4_000) + "]".repeat(4_000),
  ];
  for (const text of texts) {
    // An encoder writes no space before the value.
    assert.deepEqual(describe(text), describe(` ${text}`), text.slice(0, 100));
  }
  fc.assert(fc.property(fc.json(), (text) => {
    const written = JSON.stringify(JSON.parse(text));
    assert.deepEqual(parseJson(written).value, parseJson(` ${written}`).value);
  }));
});

/** Describes what is decoded from a text: the members of each object and list, or the error. */
function describe(text: string): unknown {
  try {
    const document = parseJson(text);
    const show = (value: unknown): unknown =>
      typeof value === "object" && value !== null
        ? [
          Array.isArray(value),
          listMembers(document, value as Record<string, unknown>).map((
            { key, value, literal },
          ) => [key, show(value), literal]),
        ]
        : value;
    return { shown: JSON.stringify(show(document.value)), duplicates: document.duplicates };
  } catch (error) {
    return (error as Error).message;
  }
}

test("parseJson() reads escapes and replaces half a surrogate pair", () => {
  const { value } = parseJson('"\\u00e9\\n\\ud83d\\ude00\\ud800\\/"');
  assert.equal(value, "é\n😀\ufffd/");
});

test("parseJson() throws only JsonSyntaxError", () => {
  const fragment = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "a",
    "\\",
    "u",
    "1",
    "-",
    ".",
    "e",
    "t",
    "null",
    " ",
  );
  fc.assert(
    fc.property(fc.oneof(anyText(), fc.array(fragment).map((parts) => parts.join(""))), (text) => {
      try {
        parseJson(text);
      } catch (error) {
        assert.ok(error instanceof JsonSyntaxError);
      }
    }),
  );
});

test("parseJson() reports duplicate keys by path and keeps the later value", () => {
  const { value, duplicates } = parseJson(
    '{"spec":{"bar":1,"usages":[{"x":1},{"x":1,"x":2}],"bar":3},"spec2":0,"a":1,"a":2}',
  );
  assert.deepEqual(duplicates, ["spec.usages[1].x", "spec.bar", "a"]);
  assert.deepEqual(value, { spec: { bar: 3, usages: [{ x: 1 }, { x: 2 }] }, spec2: 0, a: 2 });
});

test("parseJson() keeps the literals of numbers that would print differently", () => {
  const { value, members } = parseJson('{"a":[1,1.0],"b":{"c":1e3},"d":9223372036854775808,"e":1.5,"f":-0}');
  assert.deepEqual(value, { a: [1, 1], b: { c: 1000 }, d: 9223372036854775808, e: 1.5, f: -0 });
  const literals = [...members?.values() ?? []].flat().flatMap(({ key, literal }) =>
    literal === undefined ? [] : [key, literal]
  );
  assert.deepEqual(literals, ["1", "1.0", "c", "1e3", "d", "9223372036854775808", "f", "-0"]);
  assert.equal(parseJson('{"a":[1,2.5]}').members, undefined);
});

test("parseJson() keeps members in the order of the text, repeated ones and ones named like numbers too", () => {
  const { value, members } = parseJson('{"b":1,"1":2,"a":3,"b":null}');
  assert.deepEqual(members?.get(value as object)?.map(({ key, value }) => [key, value]), [
    ["b", 1],
    ["1", 2],
    ["a", 3],
    ["b", null],
  ]);
});

test("parseJson() reads bytes that are not UTF-8 as Go does: each is U+FFFD in text, and named in an error", () => {
  const bytes = (...parts: (string | number)[]): Uint8Array =>
    Uint8Array.from(parts.flatMap((part) => typeof part === "number" ? [part] : [...new TextEncoder().encode(part)]));
  assert.equal(parseJson(bytes('"a', 0xe2, 0x82, '", "'.slice(0, 1))).value, "a\ufffd\ufffd");
  assert.equal(parseJson(bytes('"', 0xed, 0xa0, 0x80, 0xc0, 0x80, "é", '"')).value, "\ufffd\ufffd\ufffd\ufffd\ufffdé");
  assert.throws(() => parseJson(bytes(0xff)), { message: "invalid character 'ÿ' looking for beginning of value" });
});

test("parseJson() treats __proto__ as any other key", () => {
  const { value } = parseJson('{"__proto__":{"polluted":true},"a":1}');
  assert.deepEqual(Object.keys(value as object), ["__proto__", "a"]);
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
});

test("parseJson() reads 10,000 levels and refuses more", () => {
  const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
  assert.ok(Array.isArray(parseJson(nested(10_000)).value));
  assert.throws(() => parseJson(nested(10_001)), { message: "invalid character '[' exceeded max depth" });
  assert.throws(() => parseJson('{"a":'.repeat(1_000_000)), { message: "invalid character '{' exceeded max depth" });
});

test("parseJson() limits what it records of hostile bodies", () => {
  const repeated = `{"${"k".repeat(100_000)}":{${'"a":1,'.repeat(1_000)}"a":1e3}}`;
  const { duplicates } = parseJson(repeated);
  assert.ok(duplicates.length > 0 && duplicates.length < 100);
});

test("parseJson() does not pair half an escaped surrogate pair with a byte that is not UTF-8", () => {
  assert.equal(parseJson(Uint8Array.of(0x22, 0x5c, 0x75, 0x64, 0x38, 0x30, 0x30, 0xe2, 0x22)).value, "\ufffd\ufffd");
  assert.equal(parseJson('"\\ud83d\\ude00 \\ud83d"').value, "\u{1f600} \ufffd");
});
