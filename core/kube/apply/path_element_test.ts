import assert from "node:assert/strict";
import { test } from "node:test";
import { compareElements, keyElement, parseElement, printElement, valueElement } from "./path_element.ts";

// structured-merge-diff `fieldpath/serialize-pe_test.go`
for (
  const { text, want } of [
    { text: "f:spec", want: "f:spec" },
    { text: "f:", want: "f:" },
    { text: "f:a:b", want: "f:a:b" },
    { text: 'k:{"name":"my-container"}', want: 'k:{"name":"my-container"}' },
    { text: 'k:{ "protocol" : "TCP", "port":8080}', want: 'k:{"port":8080,"protocol":"TCP"}' },
    { text: "k:{}", want: "k:{}" },
    { text: "i:0", want: "i:0" },
    { text: "i:+5", want: "i:5" },
    { text: 'v:"foo"', want: 'v:"foo"' },
    { text: "v:1.0", want: "v:1" },
    { text: "v:true", want: "v:true" },
    { text: 'v:"<&>"', want: 'v:"\\u003c\\u0026\\u003e"' },
  ]
) {
  test(`parseElement() reads ${text}`, () => assert.deepEqual(parseElement(text), { kind: "element", element: want }));
}

for (
  const text of ["", "i", "spec", "i:index is not a number", "i:", "k:invalid json", "k:[1]", "v:invalid json", "v:"]
) {
  test(`parseElement() calls ${JSON.stringify(text)} malformed`, () => {
    assert.deepEqual(parseElement(text), { kind: "malformed" });
  });
}

test("parseElement() returns unknown for types of later versions", () =>
  assert.deepEqual(parseElement("x:1"), { kind: "unknown" }));

test("keyElement() and valueElement() write canonical text", () => {
  assert.equal(keyElement([["type", "Ready"]]), 'k:{"type":"Ready"}');
  assert.equal(keyElement([["b", 1], ["a", "x"]]), 'k:{"a":"x","b":1}');
  assert.equal(valueElement("example.com/a"), 'v:"example.com/a"');
});

test("compareElements() puts fields first, then keys, values and indices", () => {
  const sorted = [
    "f:a",
    "f:b",
    "f:\uffee",
    "f:\u{1f600}",
    "k:{}",
    'k:{"a":1}',
    'k:{"a":"b"}',
    'k:{"a":"b","c":"d"}',
    'k:{"b":"a"}',
    "v:1",
    "v:2",
    "v:10",
    'v:"10"',
    'v:"2"',
    "v:false",
    "v:true",
    "i:2",
    "i:10",
  ];
  assert.deepEqual(sorted.toReversed().sort(compareElements), sorted);
});

for (
  const { element, want } of [
    { element: "f:a", want: ".a" },
    { element: 'k:{"a":"x","b":1}', want: '[a="x",b=1]' },
    { element: 'v:"x"', want: '[="x"]' },
    { element: "v:true", want: "[=true]" },
    { element: "v:null", want: "[=null]" },
    { element: "i:3", want: "[3]" },
  ]
) {
  test(`printElement() shows ${element} as ${want}`, () => assert.equal(printElement(element), want));
}
