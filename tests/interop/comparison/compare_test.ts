import assert from "node:assert/strict";
import { test } from "node:test";
import { findDifferences } from "./compare.ts";
import { isIntended, parseIntendedDifferences } from "./intended.ts";

test("findDifferences() reports each path", () => {
  for (
    const [real, ours, paths] of [
      [{ a: 1 }, { a: 1 }, []],
      [{ a: 1 }, { a: 2 }, ["body.a"]],
      [{ a: 1 }, {}, ["body.a"]],
      [{}, { a: null }, ["body.a"]],
      [[1, 2], [1], ["body[1]"]],
      [{ a: [{ b: "x", c: 1 }] }, { a: [{ b: "y", c: 2 }] }, ["body.a[0].b", "body.a[0].c"]],
      [{ a: 1, b: 2 }, { b: 2, a: 1 }, ["body (order)"]],
      [{ a: {} }, { a: [] }, ["body.a"]],
      [null, {}, ["body"]],
      ["1", 1, ["body"]],
    ] as const
  ) assert.deepEqual(findDifferences(real, ours, "body").map(({ path }) => path), paths);
});

test("isIntended() requires the exchange, the path and both values", () => {
  const [entry] = parseIntendedDifferences(
    `- {exchange: "a: b", path: body.x, kube-apiserver: 1, tlsboot: null, reason: because}`,
  );
  const difference = { path: "body.x", "kube-apiserver": 1, tlsboot: undefined };
  assert.equal(isIntended(entry!, "a: b", difference), true);
  assert.equal(isIntended(entry!, "a: c", difference), false);
  assert.equal(isIntended(entry!, "a: b", { ...difference, path: "body.y" }), false);
  assert.equal(isIntended(entry!, "a: b", { ...difference, "kube-apiserver": 2 }), false);
  assert.equal(isIntended(entry!, "a: b", { ...difference, tlsboot: 0 }), false);
});

test("parseIntendedDifferences() refuses incomplete entries", () => {
  for (
    const text of [
      `- {exchange: a, path: b, kube-apiserver: 1, tlsboot: 2}`,
      `- {exchange: a, path: b, kube-apiserver: 1, tlsboot: 2, reason: " "}`,
      `- {exchange: a, path: b, kube-apiserver: 1, tlsboot: 2, reason: c, more: d}`,
    ]
  ) assert.throws(() => parseIntendedDifferences(text), /differences.yaml: entry 1/);
});
