import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { createFieldSet, type FieldNode, type FieldSet, intersect, subtract, unite } from "./field_set.ts";

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
