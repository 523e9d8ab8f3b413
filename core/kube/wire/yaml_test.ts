import assert from "node:assert/strict";
import { test } from "node:test";
import fc, { anyText } from "../../../tests/support/properties.ts";
import { certificateSigningRequestKind } from "../kinds/mod.ts";
import { decodeObject } from "./object_json.ts";
import { JsonSyntaxError } from "../json_value.ts";
import { parseYaml } from "./yaml.ts";

/** Text, its value and its strict errors, recorded from sigs.k8s.io/yaml v1.6.0. */
const DOCUMENTS: readonly { readonly text: string; readonly value: unknown; readonly strict?: readonly string[] }[] = [
  { text: "a: 1", value: { "a": 1 } },
  {
    text: "a: yes\nb: no\nc: on\nd: y\ne: ~\nf:\ng: null",
    value: { "a": true, "b": false, "c": true, "d": true, "e": null, "f": null, "g": null },
  },
  {
    text: "a: 0x10\nb: 010\nc: 0o17\nd: 1_000\ne: 0b11\nf: 08\ng: +5\nh: -0x1f",
    value: { "a": 16, "b": 8, "c": 15, "d": 1000, "e": 3, "f": 8, "g": 5, "h": -31 },
  },
  { text: "a: 1.0\nb: .5\nc: 1e3\nd: 12e03\ne: 1.", value: { "a": 1, "b": 0.5, "c": 1000, "d": 12000, "e": 1 } },
  { text: "a: 2020-01-01\nb: 2020-01-01T00:00:00Z", value: { "a": "2020-01-01", "b": "2020-01-01T00:00:00Z" } },
  { text: "a: !!str 5\n", value: { "a": "5" } },
  {
    text: "a: 1\na: 2\nb:\n  c: 1\n  c: {x: 1}\n",
    value: { "a": 2, "b": { "c": { "x": 1 } } },
    strict: ['yaml: unmarshal errors:\n  line 2: key "a" already set in map\n  line 5: key "c" already set in map'],
  },
  { text: "&x a: 1", value: { "a": 1 } },
  { text: "a: &x [1,2]\nb: *x\n", value: { "a": [1, 2], "b": [1, 2] } },
  { text: "yes: 1\n5: 2\n", value: { "5": 2, "true": 1 } },
  { text: "a: |\n  x\n  y\nb: >\n  x\n  y\n", value: { "a": "x\ny\n", "b": "x y\n" } },
  { text: "- 1\n- 2\n", value: [1, 2] },
  { text: "", value: null },
  { text: "---\na: 1\n---\nb: 2\n", value: { "a": 1 } },
  { text: "# only\n", value: null },
  {
    text: "a: 12345678901234567890\nb: 9223372036854775807\nc: 99999999999999999999999",
    value: { a: 12345678901234567890, b: 9223372036854775807, c: 99999999999999999999999 },
  },
  { text: "a: 1:30\nb: 190:20:30", value: { "a": "1:30", "b": "190:20:30" } },
  { text: "a: \"5\"\nb: '5'", value: { "a": "5", "b": "5" } },
  { text: "a: <<", value: { "a": "<<" } },
  { text: "a: 'a\n\n  b'", value: { "a": "a\nb" } },
  { text: "foo", value: "foo" },
  { text: "a: [\n  b,\n]\nc:\n  d: {\r\n    e: [\n    ]\n  }\n", value: { "a": ["b"], "c": { "d": { "e": [] } } } },
  { text: "? |\n  a\n: b: c\n  d: [e]\n", value: { "a\n": { "b": "c", "d": ["e"] } } },
  { text: "a: 1e400", value: { "a": "1e400" } },
  { text: "a: 0777\nb: 0o8", value: { "a": 511, "b": "0o8" } },
];

for (const { text, value, strict } of DOCUMENTS) {
  test(`parseYaml() reads ${JSON.stringify(text).slice(0, 60)} as Kubernetes does`, () => {
    const document = parseYaml(text);
    assert.deepEqual(document.value, value);
    assert.deepEqual(document.strictErrors, strict);
    assert.deepEqual(document.duplicates, []);
  });
}

for (
  const text of [
    "{a: 1",
    "a: b: c",
    "\ta: 1",
    "a: 'x",
    'a: "\\q"',
    "a: *y",
    "a: &x [*x]",
    "? [1]\n: 2",
    "a: .inf",
    "a: 1\n<<: 5",
    "1: a\n'1': b",
    "null: a",
    "a:\tb",
  ]
) {
  test(`parseYaml() refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseYaml(text), { name: "JsonSyntaxError", code: "invalid" });
  });
}

/** Documents that only go-yaml reads: js-yaml reads them differently, or they are not used. */
for (
  const text of [
    'a: !!int "5"',
    "a: !foo x",
    "a: !!binary aGVsbG8=",
    "1.5: a",
    "&a b: c\n*a : d",
    "a: 1\u2028b: 2",
    "%TAG !e! tag:example.com:\n---\na: b",
    "{a?b: c}",
    "x:\n{}: 9\n",
    "a: [\n]\nb: |\n  {\n  }\n",
  ]
) {
  test(`parseYaml() refuses ${JSON.stringify(text)}, which Kubernetes reads`, () => {
    assert.throws(() => parseYaml(text), { name: "JsonSyntaxError", code: "invalid" });
  });
}

/** Documents that js-yaml reads differently from go-yaml, or that only js-yaml reads. */
for (
  const text of [
    "k: &a x: y",
    "a:\n- 'b'. c: d",
    "[a, b:, c]",
    "{a :[b]}",
    '"a\\\n\n  b"',
    "- 1\n\t\n  2",
    "- |\n   \t a",
    'a: "\\/"',
    "--- |\na",
    `? a\n: ${"k".repeat(1_100)}: c`,
    "&é a",
    "...\na: 1",
  ]
) {
  test(`parseYaml() refuses ${JSON.stringify(text).slice(0, 40)}, which js-yaml misreads`, () => {
    assert.throws(() => parseYaml(text), { name: "JsonSyntaxError", code: "invalid" });
  });
}

test("parseYaml() keeps the last line of a block unchanged", () => {
  assert.deepEqual(parseYaml("a: |\n  b\n  c").value, { a: "b\nc" });
});

test("parseYaml() copies merged mappings, the first of several winning", () => {
  const { value } = parseYaml("one: &x {k: 1, l: 1}\ntwo: &y {k: 2, m: 2}\nall:\n  <<: [*x, *y]\n  o: 3\n");
  assert.deepEqual(value, { one: { k: 1, l: 1 }, two: { k: 2, m: 2 }, all: { k: 1, l: 1, m: 2, o: 3 } });
});

test("parseYaml() keeps the digits of integers beyond 2^53 for the decoder", () => {
  const { value, members } = parseYaml("a:\n- 9223372036854775808\n");
  const [element] = members?.get((value as { a: object }).a) ?? [];
  assert.equal(element?.literal, "9223372036854775808");
});

test("parseYaml() passes repeated keys to decodeObject() in addition to unknown ones", () => {
  const document = parseYaml("metadata:\n  name: x\nspec:\n  usages: [a]\n  usages: [b]\n  foo: 1\n");
  const { object, strictErrors } = decodeObject(certificateSigningRequestKind.schema, document.value, document);
  assert.deepEqual((object["spec"] as Record<string, unknown>)["usages"], ["b"]);
  assert.deepEqual(strictErrors, [
    'yaml: unmarshal errors:\n  line 5: key "usages" already set in map',
    'unknown field "spec.foo"',
  ]);
});

test("parseYaml() stops alias bombs and deep nesting", () => {
  const names = "abcdefghi";
  const levels = [...names].map((name, index) => {
    const below = index === 0 ? "x" : `*${names[index - 1]}`;
    return `${name}: &${name} [${Array.from({ length: 9 }, () => below).join(",")}]`;
  });
  assert.throws(() => parseYaml(levels.join("\n")), { message: "yaml: line 5: aliases repeat too many values" });
  const repeated = { message: /^yaml: line \d+: aliases repeat too many values$/ };
  assert.throws(() => parseYaml(`- &a [${"0,".repeat(3_000)}]\n${"- *a\n".repeat(60)}`), repeated);
  assert.throws(() => parseYaml(`- &a ${"x".repeat(1_000_000)}\n${"- *a\n".repeat(400)}`), repeated);
  assert.throws(() => parseYaml("[".repeat(100_000)), { message: "yaml: line 1: too many levels" });
  assert.throws(() => parseYaml("- ".repeat(100_000)), { message: "yaml: line 1: too many levels" });
  assert.throws(() => parseYaml("a:\n".repeat(300_000)), { message: "yaml: line 200001: too many values" });
});

test("parseYaml() throws only JsonSyntaxError", () => {
  const fragment = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    ", ",
    ": ",
    "- ",
    "? ",
    "\n",
    "  ",
    "a",
    "&a ",
    "*a",
    "|",
    ">",
    "'",
    '"',
    "#",
    "!!int ",
    "<<",
    "1",
    "---\n",
    "%YAML 1.2\n",
    "\t",
  );
  const text = fc.oneof(
    anyText(),
    fc.array(fragment, { maxLength: 20 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (yaml) => {
      try {
        parseYaml(yaml);
      } catch (error) {
        assert.ok(error instanceof JsonSyntaxError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
