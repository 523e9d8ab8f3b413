import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { compareYamlKeys, formatYaml } from "./format.ts";
import { parseYaml } from "../../kube/wire/yaml.ts";

/** A string and what sigs.k8s.io/yaml v1.6.0 prints for it under the key `a`. */
const STRINGS: readonly (readonly [string, string])[] = [
  ["", 'a: ""\n'],
  ["a", "a: a\n"],
  ["yes", 'a: "yes"\n'],
  ["Null", 'a: "Null"\n'],
  ["5", 'a: "5"\n'],
  ["1.5", 'a: "1.5"\n'],
  ["0x1", 'a: "0x1"\n'],
  ["1_0", 'a: "1_0"\n'],
  ["2020-01-01", 'a: "2020-01-01"\n'],
  ["1:30", 'a: "1:30"\n'],
  ["~", 'a: "~"\n'],
  ["a: b", "a: 'a: b'\n"],
  ["a:b", "a: a:b\n"],
  [": a", "a: ': a'\n"],
  [":a", "a: :a\n"],
  ["-a", "a: -a\n"],
  ["- a", "a: '- a'\n"],
  ["-", "a: '-'\n"],
  ["--- a", "a: '--- a'\n"],
  ["...", "a: '...'\n"],
  ["#a", "a: '#a'\n"],
  ["a #b", "a: 'a #b'\n"],
  ["a#b", "a: a#b\n"],
  ["[a", "a: '[a'\n"],
  ["{a", "a: '{a'\n"],
  ["a]", "a: a]\n"],
  ["a,b", "a: a,b\n"],
  ["'a'", "a: '''a'''\n"],
  ['"a"', "a: '\"a\"'\n"],
  ["a'b", "a: a'b\n"],
  ['a"b', 'a: a"b\n'],
  ["it's: x", "a: 'it''s: x'\n"],
  ["!a", "a: '!a'\n"],
  ["&a", "a: '&a'\n"],
  ["*a", "a: '*a'\n"],
  ["|", "a: '|'\n"],
  ["> ", "a: '> '\n"],
  [">", "a: '>'\n"],
  ["%a", "a: '%a'\n"],
  ["@a", "a: '@a'\n"],
  ["`a", "a: '`a'\n"],
  [" a", "a: ' a'\n"],
  ["a ", "a: 'a '\n"],
  ["a\nb", "a: |-\n  a\n  b\n"],
  ["a\nb\n", "a: |\n  a\n  b\n"],
  ["a\n\n", "a: |+\n  a\n\n"],
  ["\n", "a: |2+\n\n"],
  ["\na", "a: |2-\n\n  a\n"],
  [" a\nb", "a: |2-\n   a\n  b\n"],
  ["a \nb", 'a: "a \\nb"\n'],
  ["a\tb", 'a: "a\\tb"\n'],
  ["a\tb\nc", 'a: "a\\tb\\nc"\n'],
  ["\u00e9", "a: \u00e9\n"],
  ["\u65e5\u672c", "a: \u65e5\u672c\n"],
  ["\ud83d\ude00", 'a: "\\U0001F600"\n'],
  ["\u0000", 'a: "\\0"\n'],
  ["a\u00a0b", "a: a\u00a0b\n"],
  ["a\rb", 'a: "a\\rb"\n'],
  ["a\\b", "a: a\\b\n"],
  ["a\\b\nc", "a: |-\n  a\\b\n  c\n"],
  ["?a", "a: ?a\n"],
  ["? a", "a: '? a'\n"],
  ["?", "a: '?'\n"],
  ["=", "a: =\n"],
  ["\u2028", "a: '\u2028'\n"],
  ["a\u2028b", "a: 'a\u2028  b'\n"],
  ["\u2029a", "a: '\u2029  a'\n"],
  ["a\u2028", "a: 'a\u2028'\n"],
  ["\u2028 ", 'a: "\\L "\n'],
  ["a \u2028b", 'a: "a \\Lb"\n'],
  ["a\nb\u2028c", "a: |-\n  a\n  b\u2028  c\n"],
  ["x\n\u2028\ny", "a: |-\n  x\n\u2028\n  y\n"],
  ["a\u2028b\n", "a: |\n  a\u2028  b\n"],
  ["<<", "a: <<\n"],
  [
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "a: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
  ],
  [
    "word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word end",
    "a: word word word word word word word word word word word word word word word word\n  word word word word word word word word word word word word word word word word\n  word word word word word word word word end\n",
  ],
  ["a\n  b\n", "a: |\n  a\n    b\n"],
  ["a\n\n\nb", "a: |-\n  a\n\n\n  b\n"],
  ["trailing\n\n\n", "a: |+\n  trailing\n\n\n"],
  ["1e3", 'a: "1e3"\n'],
  ["+1", 'a: "+1"\n'],
  [".5", 'a: ".5"\n'],
  [".", "a: .\n"],
  ["..", "a: ..\n"],
  ["0o7", 'a: "0o7"\n'],
  ["0b1", 'a: "0b1"\n'],
  ["1.", 'a: "1."\n'],
  ["1.e", "a: 1.e\n"],
  ["+.inf", 'a: "+.inf"\n'],
  ["nan", "a: nan\n"],
  [".nan", 'a: ".nan"\n'],
  ["012", 'a: "012"\n'],
  ["08", 'a: "08"\n'],
  ["true ", "a: 'true '\n"],
  ["null", 'a: "null"\n'],
  ["NO", 'a: "NO"\n'],
  ["y", 'a: "y"\n'],
  ["n", 'a: "n"\n'],
  ["Y", 'a: "Y"\n'],
  ["a: ", "a: 'a: '\n"],
  ["a:\nb", "a: |-\n  a:\n  b\n"],
  [":", "a: ':'\n"],
  ["::", "a: '::'\n"],
  ["a::b", "a: a::b\n"],
  ["a #", "a: 'a #'\n"],
  ["#", "a: '#'\n"],
  ["a\n#b", "a: |-\n  a\n  #b\n"],
  ["-\n", "a: |\n  -\n"],
  ["12:30:45", 'a: "12:30:45"\n'],
  ["1_000.5", 'a: "1_000.5"\n'],
  ["0x", "a: 0x\n"],
  ["0xg", "a: 0xg\n"],
  ["1e", "a: 1e\n"],
  ["e1", "a: e1\n"],
  [
    "a long line with  double  spaces w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x ",
    "a: 'a long line with  double  spaces w  x w  x w  x w  x w  x w  x w  x w  x w  x\n  w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x w  x\n  w  x w  x w  x w  x w  x '\n",
  ],
  [
    "it's: long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long long ",
    "a: 'it''s: long long long long long long long long long long long long long long long\n  long long long long long long long long long long long long long long long long\n  long long long long long long long long long '\n",
  ],
  [
    "\u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00f1",
    "a: \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9\n  \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00e9 \u00f1\n",
  ],
  [
    "\ud83d\ude00 long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word long  word ",
    'a: "\\U0001F600 long  word long  word long  word long  word long  word long  word long\n  \\ word long  word long  word long  word long  word long  word long  word long  word\n  long  word long  word long  word long  word long  word long  word long  word long\n  \\ word long  word long  word long  word long  word long  word long  word long  word\n  long  word "\n',
  ],
  [
    "true: x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x y",
    "a: 'true: x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x\n  x x x x x x x x x x x x x x x x x x x x x x x x y'\n",
  ],
  [
    "\ta  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b z",
    'a: "\\ta  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a\n  \\ b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b a  b z"\n',
  ],
  [
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx y z",
    "a: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n  y z\n",
  ],
  [
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx y z",
    "a: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n  y z\n",
  ],
  [
    "a \tba \tba \tba \tba \tba \tba \tba \tba \tba \tba \tba \tba \tba \tba \tba \tba \tba \tba \tba \tb\nx x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x ",
    'a: "a \\tba \\tba \\tba \\tba \\tba \\tba \\tba \\tba \\tba \\tba \\tba \\tba \\tba \\tba \\tba \\tba\n  \\tba \\tba \\tba \\tb\\nx x x x x x x x x x x x x x x x x x x x x x x x x x x x x x\n  x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x\n  x x x x x x x x x x x x x x x x x x x x "\n',
  ],
  [
    "a bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb '",
    "a: a bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n  '\n",
  ],
  ["\u200b", "a: \u200b\n"],
  ["\ue000", "a: \ue000\n"],
  ["\ufffd", "a: \ufffd\n"],
];

for (const [text, want] of STRINGS) {
  test(`formatYaml() prints the string ${JSON.stringify(text).slice(0, 60)} as kubectl does`, () => {
    assert.equal(formatYaml({ a: text }), want);
    // These separators are line breaks only in YAML 1.1. They are read in quotes, without the indentation after them.
    if (/[\u2028\u2029] |^[^']*[\u2028\u2029]/.test(want)) {
      assert.throws(() => parseYaml(want), { name: "JsonSyntaxError" });
    } else assert.deepEqual(parseYaml(want).value, { a: text });
  });
}

/** Values and what sigs.k8s.io/yaml v1.6.0 prints for them. */
const VALUES: readonly (readonly [unknown, string])[] = [
  [
    {
      "a": {},
      "b": [],
      "c": [[], {}],
      "d": [[1, [2]], [{ "x": 1, "y": [1] }]],
      "e": null,
      "f": true,
      "g": 1.5,
      "h": -3,
      "i": 1e+21,
      "j": 0.1,
    },
    'a: {}\nb: []\nc:\n- []\n- {}\nd:\n- - 1\n  - - 2\n- - x: 1\n    "y":\n    - 1\ne: null\nf: true\ng: 1.5\nh: -3\ni: 1e+21\nj: 0.1\n',
  ],
  [
    {
      "1": 7,
      "5": 21,
      "9": 9,
      "10": 8,
      "a10": 1,
      "a9": 2,
      "a": 3,
      "B": 4,
      "b": 5,
      "_x": 6,
      "a-b": 10,
      "aB": 11,
      "a.b": 12,
      "ab": 13,
      "a01": 14,
      "a1": 15,
      "a001": 16,
      "": 17,
      "f:x": 18,
      'k:{"type":"A"}': 19,
      "yes": 20,
      "a b": 22,
      "\u00e9": 23,
      "x\ny": 24,
      ".": 25,
      "a/b": 26,
    },
    '"": 17\n.: 25\n_x: 6\n"1": 7\n"5": 21\n"9": 9\n"10": 8\nB: 4\na: 3\na b: 22\na-b: 10\na.b: 12\na/b: 26\na1: 15\na01: 14\na001: 16\na9: 2\na10: 1\naB: 11\nab: 13\nb: 5\nf:x: 18\nk:{"type":"A"}: 19\n? |-\n  x\n  y\n: 24\n"yes": 20\n\u00e9: 23\n',
  ],
  [
    {
      "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk":
        1,
      "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm":
        { "a": 1, "b": 2 },
      "llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll":
        [1, 2],
    },
    "? kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\n: 1\n? llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll\n: - 1\n  - 2\n? mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm\n: a: 1\n  b: 2\n",
  ],
  [[], "[]\n"],
  [{}, "{}\n"],
  [{ "a\rb": 1 }, '? "a\\rb"\n: 1\n'],
  ["x", "x\n"],
  ["x\ny", "|-\n  x\n  y\n"],
  [5, "5\n"],
  [null, "null\n"],
  [[1, { "a": 1 }], "- 1\n- a: 1\n"],
];

for (const [value, want] of VALUES) {
  test(`formatYaml() prints ${JSON.stringify(value).slice(0, 60)} as kubectl does`, () => {
    assert.equal(formatYaml(value), want);
  });
}

test("formatYaml() omits undefined members", () => {
  assert.equal(formatYaml({ a: undefined, b: { c: undefined } }), "b: {}\n");
});

test("formatYaml() and parseYaml() are inverse for JSON values", () => {
  fc.assert(fc.property(fc.json({ depthSize: "small", noUnicodeString: false }), (text) => {
    const value = { a: JSON.parse(text.replaceAll("__proto__", "proto").replaceAll(/[\u2028\u2029]/g, "")) };
    assert.deepEqual(parseYaml(formatYaml(value)).value, dropNegativeZero(value));
  }));
});

test("compareYamlKeys() sorts runs of digits by value and letters last", () => {
  const sorted = ["", ".", "_x", "1", "9", "10", "B", "a", "a-b", "a1", "a01", "a9", "a10", "aB", "ab", "é"];
  assert.deepEqual(sorted.toReversed().sort(compareYamlKeys), sorted);
});

/** YAML has no negative zero either. */
function dropNegativeZero(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
