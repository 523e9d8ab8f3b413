import assert from "node:assert/strict";
import { test } from "node:test";
import fc, { anyText } from "../../tests/support/properties.ts";
import {
  findRequiredName,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
  selectorFromLabelSelector,
} from "./selectors.ts";

const LABELS = { a: "b", n: "7", "x.y/z": "" };

for (
  const [selector, want] of [
    ["", true],
    ["a=b", true],
    ["a==b,n=7", true],
    ["a!=c", true],
    ["missing!=c", true],
    ["a in (c,b)", true],
    ["a notin (c)", true],
    ["missing notin (b)", true],
    ["a,!missing", true],
    ["x.y/z=", true],
    ["x.y/z in ()", true],
    ["n>6,n<8", true],
    [" a = b ", true],
    ["a=c", false],
    ["a!=b", false],
    ["missing", false],
    ["!a", false],
    ["a notin (b)", false],
    ["missing in (b)", false],
    ["n>7", false],
    ["a>1", false],
    ["toString", false],
  ] as const
) {
  test(`matchesLabels() is ${want} for ${JSON.stringify(selector)}`, () => {
    const parsed = parseLabelSelector(selector);
    assert.ok(parsed.ok, parsed.ok ? "" : parsed.error);
    assert.equal(matchesLabels(parsed.value, LABELS), want);
  });
}

const KEY_TEXT = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an " +
  "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is " +
  "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_TEXT =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and " +
  "must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for " +
  "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

for (
  const [selector, want] of [
    [",", "found ',', expected: !, identifier, or 'end of string'"],
    ["=b", "found '=', expected: !, identifier, or 'end of string'"],
    ["a=b,", "found '', expected: identifier after ','"],
    ["a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ["a=b c", "found 'c', expected: ',' or 'end of string'"],
    ["!", "unable to parse requirement: found '', expected: identifier"],
    ["!a=b", "found '=', expected: ',' or 'end of string'"],
    ["a in b", "unable to parse requirement: found 'b' expected: '('"],
    ["a in (b", "unable to parse requirement: found '', expected: ',' or ')'"],
    ["a in (=", "unable to parse requirement: found '=', expected: ',', ')' or identifier"],
    ["a in (b,", "unable to parse requirement: found '', expected: ',', or identifier"],
    ["a==!b", "unable to parse requirement: found '!', expected: identifier"],
    ["-a", `unable to parse requirement: <nil>: Invalid value: "-a": ${KEY_TEXT}`],
    ["a=-b", `unable to parse requirement: values[0][a]: Invalid value: "-b": ${VALUE_TEXT}`],
    [
      "a>b",
      "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an " +
      "integer",
    ],
  ] as const
) {
  test(`parseLabelSelector() refuses ${JSON.stringify(selector)}`, () => {
    assert.deepEqual(parseLabelSelector(selector), { ok: false, error: want });
  });
}

test("parseLabelSelector() accepts in and notin as values, sorts and deduplicates", () => {
  assert.deepEqual(parseLabelSelector("b,a in (notin,in,in)"), {
    ok: true,
    value: [
      { key: "a", operator: "in", values: ["in", "notin"] },
      { key: "b", operator: "exists", values: [] },
    ],
  });
});

test("parseLabelSelector() returns for any text", () => {
  const words = fc.constantFrom(
    "a",
    "b/c",
    "in",
    "notin",
    "!",
    "=",
    "==",
    "!=",
    "(",
    ")",
    ",",
    " ",
    ">",
    "<",
    "\u0000",
  );
  fc.assert(
    fc.property(fc.oneof(fc.array(words).map((parts) => parts.join("")), anyText()), (text) => {
      const parsed = parseLabelSelector(text);
      return parsed.ok ? typeof matchesLabels(parsed.value, { a: "b" }) === "boolean" : parsed.error !== "";
    }),
  );
});

test("selectorFromLabelSelector() joins labels and expressions", () => {
  assert.deepEqual(
    selectorFromLabelSelector({
      matchLabels: { b: "1" },
      matchExpressions: [
        { key: "a", operator: "In", values: ["x", "y"] },
        { key: "c", operator: "DoesNotExist" },
      ],
    }),
    {
      ok: true,
      value: [
        { key: "a", operator: "in", values: ["x", "y"] },
        { key: "b", operator: "=", values: ["1"] },
        { key: "c", operator: "!", values: [] },
      ],
    },
  );
});

test("selectorFromLabelSelector() matches everything when it is empty", () => {
  const selector = selectorFromLabelSelector({});
  assert.ok(selector.ok && matchesLabels(selector.value, {}));
});

for (
  const [operator, values, want] of [
    ["Near", [], '"Near" is not a valid label selector operator'],
    ["In", [], "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"],
    ["Exists", ["x"], 'values: Invalid value: ["x"]: values set must be empty for exists and does not exist'],
  ] as const
) {
  test(`selectorFromLabelSelector() refuses ${operator} with ${values.length} values`, () => {
    assert.deepEqual(selectorFromLabelSelector({ matchExpressions: [{ key: "a", operator, values }] }), {
      ok: false,
      error: want,
    });
  });
}

for (
  const [text, want] of [
    ["", []],
    ["metadata.name=a", [{ field: "metadata.name", operator: "=", value: "a" }]],
    ["a==b", [{ field: "a", operator: "=", value: "b" }]],
    ["b!=c,a=", [{ field: "a", operator: "=", value: "" }, { field: "b", operator: "!=", value: "c" }]],
    ["a=b\\,c\\=d\\\\", [{ field: "a", operator: "=", value: "b,c=d\\" }]],
    [",,a=b,", [{ field: "a", operator: "=", value: "b" }]],
    ["==", []],
  ] as const
) {
  test(`parseFieldSelector() reads ${JSON.stringify(text)}`, () => {
    assert.deepEqual(parseFieldSelector(text), { ok: true, value: want });
  });
}

for (
  const [text, want] of [
    ["abc", "invalid selector: 'abc'; can't understand 'abc'"],
    ["a=b,c", "invalid selector: 'a=b,c'; can't understand 'c'"],
    ["a=b\\x", "invalid field selector: invalid escape sequence: \\x"],
    ["a=b\\", "invalid field selector: invalid escape sequence: \\"],
    ["a=b=c", "invalid field selector: unescaped character in value: 61"],
  ] as const
) {
  test(`parseFieldSelector() refuses ${JSON.stringify(text)}`, () => {
    assert.deepEqual(parseFieldSelector(text), { ok: false, error: want });
  });
}

test("parseFieldSelector() returns for any text", () => {
  const parts = fc.constantFrom("a", "=", "!=", "==", ",", "\\", "b.c");
  fc.assert(
    fc.property(fc.oneof(fc.array(parts).map((list) => list.join("")), anyText()), (text) => {
      const parsed = parseFieldSelector(text);
      return parsed.ok ? Array.isArray(parsed.value) : parsed.error !== "";
    }),
  );
});

test("matchesFields() requires every requirement to match", () => {
  const parsed = parseFieldSelector("spec.signerName=s,metadata.name!=a");
  assert.ok(parsed.ok);
  const createReader = (signerName: string, name: string) => (field: string) =>
    field === "metadata.name" ? name : signerName;
  assert.equal(matchesFields(parsed.value, createReader("s", "b")), true);
  assert.equal(matchesFields(parsed.value, createReader("s", "a")), false);
  assert.equal(matchesFields(parsed.value, createReader("t", "b")), false);
});

test("findRequiredName() finds the name that a selector requires, and no name that it excludes", () => {
  for (
    const [selector, want] of [
      ["metadata.name=a,spec.signerName!=s", "a"],
      ["metadata.name!=a,spec.signerName=s", undefined],
    ] as const
  ) {
    const parsed = parseFieldSelector(selector);
    assert.ok(parsed.ok);
    assert.equal(findRequiredName(parsed.value), want);
  }
});
