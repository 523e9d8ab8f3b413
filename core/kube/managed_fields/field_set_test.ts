import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import {
  differenceOf,
  type FieldNode,
  type FieldSet,
  fieldSetOf,
  intersectionOf,
  isSameFieldSet,
  unionOf,
} from "./field_set.ts";

const ELEMENTS = ["f:a", "f:b", 'k:{"type":"x"}', 'v:"y"'];
const PATH = fc.array(fc.constantFrom(...ELEMENTS), { minLength: 1, maxLength: 3 });
const PATHS = fc.array(PATH, { maxLength: 8 });
const SET = PATHS.map((paths) => fieldSetOf(...paths));

/** Every path of up to three elements. */
const ALL_PATHS = ELEMENTS.flatMap((a) => [
  [a],
  ...ELEMENTS.flatMap((b) => [[a, b], ...ELEMENTS.map((c) => [a, b, c])]),
]);

function members(set: FieldSet): readonly (readonly string[])[] {
  return ALL_PATHS.filter((path) => hasPath(set, path));
}

/** Tells whether the field at a path is a member. */
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

test("fieldSetOf() has its paths and no others, whatever stands above them", () => {
  const set = fieldSetOf(["f:a", "f:b"], ["f:a", "f:b", 'v:"y"']);
  assert.deepEqual(members(set), [["f:a", "f:b"], ["f:a", "f:b", 'v:"y"']]);
  assert.equal(hasPath(set, []), false);
});

for (
  const { name, act, holds } of [
    { name: "unionOf", act: unionOf, holds: (a: boolean, b: boolean) => a || b },
    { name: "intersectionOf", act: intersectionOf, holds: (a: boolean, b: boolean) => a && b },
    { name: "differenceOf", act: differenceOf, holds: (a: boolean, b: boolean) => a && !b },
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
    assert.ok(isSameFieldSet(unionOf(a, b), unionOf(b, a)));
    assert.ok(isSameFieldSet(intersectionOf(a, b), intersectionOf(b, a)));
    assert.ok(isSameFieldSet(unionOf(a, unionOf(b, c)), unionOf(unionOf(a, b), c)));
    assert.ok(isSameFieldSet(intersectionOf(a, unionOf(b, c)), unionOf(intersectionOf(a, b), intersectionOf(a, c))));
    assert.ok(isSameFieldSet(differenceOf(a, unionOf(b, c)), differenceOf(differenceOf(a, b), c)));
    assert.ok(isSameFieldSet(unionOf(differenceOf(a, b), intersectionOf(a, b)), a));
    assert.ok(isSameFieldSet(unionOf(a, a), a));
    assert.equal(differenceOf(a, a).size, 0);
  }));
});

test("isSameFieldSet() tells sets apart by their members", () => {
  fc.assert(fc.property(PATHS, PATHS, (a, b) => {
    const [left, right] = [fieldSetOf(...a), fieldSetOf(...b)];
    assert.equal(isSameFieldSet(left, right), JSON.stringify(members(left)) === JSON.stringify(members(right)));
  }));
});
