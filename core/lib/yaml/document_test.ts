import assert from "node:assert/strict";
import { test } from "node:test";
import { readYaml } from "./document.ts";

for (
  const { text, want } of [
    { text: "", want: null },
    { text: "a: 1\nb: [x, *n]", want: "an alias without an anchor before it at line 2, column 8" },
    { text: "a: &n 1\nb: [x, *n]", want: { a: 1, b: ["x", 1] } },
    { text: 'a: 1\n"1": b\n1: c', want: "two keys have the same name at line 3, column 1" },
    { text: "a:\n  b: 1\n  b: 2", want: "a key is repeated at line 3, column 6" },
    { text: "? [a]\n: 1", want: "a key must be text at line 1, column 3" },
    { text: "a: &n b\n*n : 1", want: "a key must be text at line 2, column 1" },
    { text: "a: [", want: "a closing bracket is missing at line 1, column 5" },
    { text: `a: ${"[".repeat(100_000)}`, want: "too many levels at line 1, column 503" },
    { text: "a: 1\r\nb", want: "a colon is missing after a key at line 2, column 2" },
    { text: "é😀: [1,\n  é😀: }", want: "a comma or a closing bracket is missing before this at line 2, column 7" },
    { text: "a: [\r\n  b, # c ]\r\n  # d\r\n]\r\ne: {\r\n  f: 'g#' # h\r\n}", want: { a: ["b"], e: { f: "g#" } } },
    { text: "a: [\n  'b # c',\n  'd'\n]", want: { a: ["b # c", "d"] } },
    { text: "a: [\n  'b # c'\n]", want: "this line must be indented more than its key at line 3, column 1" },
    {
      text: 'a: [\n  "b\n  # c\n]"\n]',
      want:
        "a line of this text starts with a closing bracket, and another bracket is not indented at line 2, column 4",
    },
    { text: "\ufeffa: 1\r\n", want: { a: 1 } },
    { text: "\ufeff---\r\na: 1\n...\n", want: { a: 1 } },
    { text: "a: b\n---\u00a0c: d\n", want: { a: "b", "---\u00a0c": "d" } },
    { text: "a: b\n...\u3000c: d\n", want: { a: "b", "...\u3000c": "d" } },
    { text: "\u00a0\n---\na: b\n", want: "a second document at line 2, column 1" },
    { text: "a: b\n...\n\u00a0\n", want: "a document ends here, but there is more text at line 2, column 1" },
    { text: "a: b # \u0085", want: "a control character, or a line break other than LF and CRLF at line 1, column 8" },
    { text: '{"a":"\u2028b\u2029", "c":\'\u2028\'}', want: { a: "\u2028b\u2029", c: "\u2028" } },
    ...[
      { text: '"a\u2028b": c', at: "line 1, column 3" },
      { text: 'a: "b\u2028 c"', at: "line 1, column 6" },
      { text: "a: 'b \u2028c'", at: "line 1, column 6" },
      { text: "a: b\u2028c", at: "line 1, column 5" },
      { text: "a: |\n  b\u2029c", at: "line 2, column 4" },
      { text: "a: b # \u2028", at: "line 1, column 8" },
    ].map(({ text, at }) => ({
      text,
      want: `a control character, or a line break other than LF and CRLF at ${at}`,
    })),
    { text: `a: ${" ".repeat(4 * 2 ** 20)}`, want: "the text is too long at line 1, column 1" },
  ]
) {
  test(`readYaml() of ${JSON.stringify(text.slice(0, 40))}`, () => {
    const read = readYaml(text);
    assert.deepEqual(read.ok ? read.value : read.error, want);
  });
}

test("readYaml() reads a file with many machines", () => {
  const text = "- name: a\n  dns: [b, c]\n  ip: [10.0.0.1, 10.0.0.2]\n".repeat(30_000);
  assert.ok(readYaml(text).ok);
});

for (
  const { text, want } of [
    { text: "a: *otter", want: "an alias without an anchor before it at line 1, column 4" },
    { text: "|otter", want: "unexpected text at line 1, column 2" },
    { text: ">otter", want: "unexpected text at line 1, column 2" },
    { text: "!otter!x", want: "unexpected text at line 1, column 9" },
    { text: "!otter!", want: "unexpected text at line 1, column 8" },
    { text: "!otter[x", want: "unexpected text at line 1, column 9" },
    { text: '"\\xotter"', want: "unexpected text at line 1, column 4" },
    { text: '"\\otter"', want: "an unknown escape sequence at line 1, column 3" },
    { text: "*otter", want: "an alias without an anchor before it at line 1, column 1" },
    { text: "a: !!int otter", want: "a tag other than !!str at line 1, column 4" },
    { text: "otter: &a [*a]", want: "an anchor contains itself at line 1, column 12" },
    { text: "otter: 1\n---\notter: 2", want: "a second document at line 2, column 1" },
    { text: "otter: 1\n  b: 2", want: "unexpected text or indentation at line 2, column 4" },
    { text: "%YAML 2.0\n---\notter: 1", want: "an unsupported directive at line 1, column 1" },
    {
      text: `a: &a [${"x,".repeat(500)}]\nb: [${"*a,".repeat(50)}]`,
      want: "aliases repeat too many values at line 2, column 62",
    },
  ]
) {
  test(`readYaml() reports the fault of ${JSON.stringify(text.slice(0, 40))} and quotes nothing`, () => {
    const read = readYaml(text);
    assert.equal(read.ok ? read.value : read.error, want);
  });
}

for (
  const { text, core, go } of [
    {
      text: "[yes, No, y, on, 0o17, 017, 0x1f, 1_0]",
      core: ["yes", "No", "y", "on", 15, 17, 31, "1_0"],
      go: [true, false, true, true, 15, 15, 31, 10],
    },
    {
      text: "[~, True, .5, 1e3, -.inf, 2020-01-01, 1:30]",
      core: [null, true, 0.5, 1000, -Infinity, "2020-01-01", "1:30"],
      go: undefined,
    },
    {
      text: "{a: &a {b: 1}, c: {<<: *a, d: 2}}",
      core: { a: { b: 1 }, c: { "<<": { b: 1 }, d: 2 } },
      go: { a: { b: 1 }, c: { d: 2, b: 1 } },
    },
    {
      text: "{a: &a {b: 1}, c: {b: 2, <<: [*a, {b: 3, e: 4}]}}",
      core: undefined,
      go: "a key is repeated at line 1, column 39",
    },
    {
      text: "{a: &a {b: 1}, c: {<<: *a, b: 2, <<: {e: 3}}}",
      core: undefined,
      go: { a: { b: 1 }, c: { b: 2, e: 3 } },
    },
    {
      text: "[+.inf, .nan]",
      core: [Infinity, Number.NaN],
      go: "a number that JSON cannot express at line 1, column 2",
    },
    {
      text: "[9007199254740991, 9007199254740993]",
      core: "an integer beyond 2^53 at line 1, column 20",
      go: "an integer beyond 2^53 at line 1, column 20",
    },
    { text: "%YAML 1.2\n---\n[a?b, node-?]\n...\n", core: ["a?b", "node-?"], go: undefined },
    {
      text: '{"__proto__": 1, !!str 5: x, z: !!str 5}',
      core: JSON.parse('{"__proto__":1,"5":"x","z":"5"}'),
      go: JSON.parse('{"__proto__":1,"5":"x","z":"5"}'),
    },
  ]
) {
  test(`readYaml() reads ${JSON.stringify(text)} in both versions`, () => {
    for (const [version, want] of [["1.2", core], ["1.1", go]] as const) {
      const read = readYaml(text, version);
      if (want !== undefined) assert.deepEqual(read.ok ? read.value : read.error, want);
    }
  });
}
