import assert from "node:assert/strict";
import { posix, win32 } from "node:path";
import { test } from "node:test";
import fc from "../../../tests/support/properties.ts";
import { isAbsolutePath, joinPath } from "./file_path.ts";

for (
  const { base, path, want } of [
    { base: "/etc/k", path: "ca.crt", want: "/etc/k/ca.crt" },
    { base: "/etc/k", path: "../x/./ca.crt", want: "/etc/x/ca.crt" },
    { base: "/etc/k", path: "/abs//ca.crt", want: "/abs//ca.crt" },
    { base: "/", path: "../a", want: "/a" },
    { base: ".", path: "a", want: "a" },
    { base: "a", path: "../../b", want: "../b" },
    { base: "a", path: "..", want: "." },
    { base: "C:\\k", path: "sub/ca.crt", want: "C:\\k\\sub\\ca.crt" },
    { base: "C:\\k", path: "D:/ca.crt", want: "D:/ca.crt" },
  ]
) {
  test(`joinPath() of "${base}" and "${path}" is "${want}"`, () => assert.equal(joinPath(base, path), want));
}

const part = fc.constantFrom("a", "b.c", ".", "..", "");

test("joinPath() agrees with node:path on POSIX and on Windows", () => {
  const parts = fc.array(part, { minLength: 1, maxLength: 6 }).map((list) => list.join("/"));
  fc.assert(fc.property(parts, parts, (base, path) => {
    for (const { root, judge } of [{ root: "/", judge: posix }, { root: "C:\\", judge: win32 }]) {
      if (isAbsolutePath(path) || isAbsolutePath(base)) continue;
      const want = judge.join(root + base, path).replace(/(?<=[^\\/:])[\\/]$/, "");
      assert.equal(joinPath(root + base, path), want);
    }
  }));
});
