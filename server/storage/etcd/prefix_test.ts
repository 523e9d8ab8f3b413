import assert from "node:assert/strict";
import { test } from "node:test";
import { createAsidePrefix, normalizePrefix, toKeysPrefix } from "./prefix.ts";

for (
  const [prefix, plain, keys] of [
    ["/registry", "/registry", "/registry/"],
    ["registry", "/registry", "/registry/"],
    ["/registry/", "/registry", "/registry/"],
    ["registry//", "/registry", "/registry/"],
    ["a//b", "/a/b", "/a/b/"],
    ["//a", "/a", "/a/"],
    ["/a/./b", "/a/b", "/a/b/"],
    ["a/../b", "/b", "/b/"],
    ["../a", "/a", "/a/"],
    ["/", "/", "/"],
    ["", "/", "/"],
    [".", "/", "/"],
    ["//", "/", "/"],
    [" a ", "/ a ", "/ a /"],
  ] as const
) {
  test(`normalizePrefix() and toKeysPrefix() read "${prefix}" as kube-apiserver does`, () => {
    assert.equal(normalizePrefix(prefix), plain);
    assert.equal(toKeysPrefix(prefix), keys);
  });
}

test("createAsidePrefix() is never below the prefix that it replaces", () => {
  const now = new Date("2026-11-25T10:00:00.500Z");
  assert.equal(createAsidePrefix("a//b/", now), "/a/b.replaced-2026-11-25T10-00-00-500Z");
  assert.equal(createAsidePrefix("/", now), "replaced-2026-11-25T10-00-00-500Z");
});
