import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { refusable } from "../../tests/support/describe_refusal.ts";
import { parseRequestInfo, toAttributes } from "./request_info.ts";
import { parseTarget } from "./request_target.ts";

for (
  const [target, path] of [
    ["https://localhost/a?b=c", "/a"],
    ["/x%2fy?z", "/x/y"],
    ["https://other/x?z", "/x"],
    ["*", "/*"],
    ["https://:", undefined],
    ["https://[", undefined],
    ["/%zz", undefined],
  ] as const
) {
  test(`readTarget() reads the path of ${target} as ${path}`, () => {
    assert.equal(parseTarget(target).path, path);
  });
}

for (
  const [query, want] of [
    ["a&b=&c=d", [["a", ""], ["b", ""], ["c", "d"]]],
    ["&&", []],
    ["=", [["", ""]]],
    ["a;b&c%zz&d%20e&f=g%", [["d e", ""]]],
  ] as const
) {
  test(`readTarget() reads the query ${query} as ${JSON.stringify(want)}`, () => {
    assert.deepEqual([...parseTarget(`/?${query}`).query], want);
  });
}

test("readTarget() and parseRequestInfo() never throw, whatever the request line", () => {
  const piece = fc.constantFrom(
    "/",
    "//",
    "..",
    "api",
    "apis",
    "v1",
    "watch",
    "namespaces",
    "%2f",
    "%ff",
    "%",
    "?",
    "&",
    "=",
  );
  const line = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(fc.oneof(piece, fc.string())).map((parts) => `/${parts.join("")}`),
    fc.webUrl({ withQueryParameters: true, withFragments: true }),
  );
  fc.assert(fc.property(fc.constantFrom("GET", "POST", "DELETE", "x"), line, (method, target) => {
    refusable(() => {
      const { path = "", query } = parseTarget(target);
      toAttributes(parseRequestInfo(method, path, query));
    });
  }));
});
