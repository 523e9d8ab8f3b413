import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import {
  compareElements,
  createFieldSet,
  type FieldNode,
  type FieldSet,
  intersect,
  keyElement,
  parseElement,
  printElement,
  subtract,
  unite,
  valueElement,
} from "./field_set.ts";

const ELEMENTS = ["f:a", "f:b", 'k:{"type":"x"}', 'v:"y"'];
const PATH = fc.array(fc.constantFrom(...ELEMENTS), { minLength: 1, maxLength: 3 });
const PATHS = fc.array(PATH, { maxLength: 8 });
const SET = PATHS.map((paths) => createFieldSet(...paths));

/** Every path of up to three elements. */
const ALL_PATHS = ELEMENTS.flatMap((a) => [
  [a],
  ...ELEMENTS.flatMap((b) => [[a, b], ...ELEMENTS.map((c) => [a, b, c])]),
]);

function members(set: FieldSet): readonly (readonly string[])[] {
  return ALL_PATHS.filter((path) => hasPath(set, path));
}

/** Reports whether the field at a path is a member. */
function hasPath(set: FieldSet, path: readonly string[]): boolean {
  let node: FieldNode | undefined;
  for (const element of path) {
    node = (node?.children ?? set).get(element);
    if (node === undefined) return false;
  }
  return node?.isMember ?? false;
}

/** No node may be neither a member nor have members below it. */
function isSound(set: FieldSet): boolean {
  return [...set.values()].every(({ isMember, children }) => (isMember || children.size > 0) && isSound(children));
}

test("createFieldSet() contains its paths and no others, also not their parents", () => {
  const set = createFieldSet(["f:a", "f:b"], ["f:a", "f:b", 'v:"y"']);
  assert.deepEqual(members(set), [["f:a", "f:b"], ["f:a", "f:b", 'v:"y"']]);
  assert.equal(hasPath(set, []), false);
});

for (
  const { name, act, holds } of [
    { name: "unite", act: unite, holds: (a: boolean, b: boolean) => a || b },
    { name: "intersect", act: intersect, holds: (a: boolean, b: boolean) => a && b },
    { name: "subtract", act: subtract, holds: (a: boolean, b: boolean) => a && !b },
  ]
) {
  test(`${name}() decides path by path`, () => {
    fc.assert(fc.property(SET, SET, (a, b) => {
      const result = act(a, b);
      for (const path of ALL_PATHS) assert.equal(hasPath(result, path), holds(hasPath(a, path), hasPath(b, path)));
      assert.ok(isSound(result));
    }));
  });
}

test("sets obey the laws of algebra", () => {
  fc.assert(fc.property(SET, SET, SET, (a, b, c) => {
    assert.deepEqual(unite(a, b), unite(b, a));
    assert.deepEqual(intersect(a, b), intersect(b, a));
    assert.deepEqual(unite(a, unite(b, c)), unite(unite(a, b), c));
    assert.deepEqual(intersect(a, unite(b, c)), unite(intersect(a, b), intersect(a, c)));
    assert.deepEqual(subtract(a, unite(b, c)), subtract(subtract(a, b), c));
    assert.deepEqual(unite(subtract(a, b), intersect(a, b)), a);
    assert.deepEqual(unite(a, a), a);
    assert.equal(subtract(a, a).size, 0);
  }));
});

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
