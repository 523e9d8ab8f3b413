import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { AppError } from "../../core/errors.ts";
import { evaluateJsonPath, parseJsonPath } from "./jsonpath.ts";
import { UsageError } from "../exit_code.ts";

// The expected texts are those of kubectl 1.37.2 for the same templates over such a list.
const list = {
  kind: "List",
  items: [
    { metadata: { name: "a", labels: { "x.io/y": "1" } }, spec: { usages: ["client auth"], seconds: 600 }, status: {} },
    {
      metadata: { name: "b" },
      spec: { usages: ["server auth", "signing"], seconds: 3600 },
      status: { conditions: [{ type: "Approved", status: "True" }], certificate: "LS0t" },
    },
  ],
};

for (
  const { template, want } of [
    { template: "{.items[*].metadata.name}", want: "a b" },
    { template: "{.kind}", want: "List" },
    { template: "{$.kind}{@.kind}", want: "ListList" },
    { template: "x{.items[0].spec.seconds}y", want: "x600y" },
    { template: '{range .items[*]}{.metadata.name}{"\\t"}{.spec.seconds}{"\\n"}{end}', want: "a\t600\nb\t3600\n" },
    { template: '{.items[?(@.metadata.name=="b")].status.certificate}', want: "LS0t" },
    { template: "{.items[?(@.spec.seconds>1000)].metadata.name}", want: "b" },
    { template: "{.items[?(@.spec.seconds<=600)].metadata.name}", want: "a" },
    { template: "{.items[?(@.status.certificate)].metadata.name}", want: "b" },
    { template: "{.items[?(@.metadata.name!='b')].metadata.name}", want: "a" },
    { template: '{.items[1].status.conditions[?(@.type=="Approved")].status}', want: "True" },
    { template: "{.items[-1].metadata.name}", want: "b" },
    { template: "{.items[0:1].metadata.name}", want: "a" },
    { template: "{.items[::2].metadata.name}", want: "a" },
    { template: "{.items[0,1].metadata.name}", want: "a b" },
    { template: "{.items[*]['metadata.name','kind']}", want: "a b" },
    { template: "{.items[*].metadata['name','name']}", want: "a b a b" },
    { template: "{..name}", want: "a b" },
    { template: "{.items[1].spec.usages}", want: '["server auth","signing"]' },
    { template: "{.items[0].metadata.labels['x\\.io/y']}", want: "1" },
    { template: "{.items[0].metadata.labels.x\\.io/y}", want: "1" },
    { template: "{.items[0].status.conditions[0].type}", want: "" },
    { template: "{.nope.nope}", want: "" },
    { template: "no braces", want: "no braces" },
    {
      template: "{range .items[*]}{range .spec.usages[*]}[{@}]{end};{end}",
      want: "[client auth];[server auth][signing];",
    },
  ]
) {
  test(`evaluateJsonPath() prints ${template}`, () => {
    assert.equal(evaluateJsonPath(parseJsonPath(template), list), want);
  });
}

for (
  const { template, want } of [
    { template: "{.items[", want: "unclosed action" },
    { template: "{.items[}", want: "unterminated array" },
    { template: "{items}", want: "unrecognized identifier items" },
    { template: "{range .items[*]}{.a}", want: "{range} without {end}" },
    { template: "{end}", want: "{end} without {range}" },
    { template: "{.items[x]}", want: "invalid array index x" },
  ]
) {
  test(`parseJsonPath() refuses ${template}`, () => {
    assert.throws(
      () => parseJsonPath(template),
      new UsageError(`cannot read jsonpath template "${template}": ${want}`),
    );
  });
}

test("evaluateJsonPath() reports an index beyond the end", () => {
  assert.throws(() => evaluateJsonPath(parseJsonPath("{.items[5]}"), list), /index out of bounds: index 5, length 2/);
});

test("parseJsonPath() throws only typed errors, whatever the text", () => {
  const pieces = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ".",
    "..",
    "*",
    "?",
    "@",
    "$",
    "'",
    '"',
    "\\",
    "a",
    "0",
    ":",
    ",",
    "range ",
    "end",
    "==",
    " ",
  );
  fc.assert(fc.property(fc.array(pieces, { maxLength: 12 }), (words) => {
    try {
      evaluateJsonPath(parseJsonPath(words.join("")), list);
    } catch (error) {
      assert.ok(error instanceof AppError, String(error));
    }
  }));
});
