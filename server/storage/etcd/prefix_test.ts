import assert from "node:assert/strict";
import { test } from "node:test";
import { asidePrefix, keysPrefix, plainPrefix } from "./prefix.ts";

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
  test(`plainPrefix() and keysPrefix() read "${prefix}" as kube-apiserver does`, () => {
    assert.equal(plainPrefix(prefix), plain);
    assert.equal(keysPrefix(prefix), keys);
  });
}

test("asidePrefix() is never below the prefix that it replaces", () => {
  const now = new Date("2026-11-25T10:00:00.500Z");
  assert.equal(asidePrefix("a//b/", now), "/a/b.replaced-2026-11-25T10-00-00-500Z");
  assert.equal(asidePrefix("/", now), "replaced-2026-11-25T10-00-00-500Z");
});
