import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { refusable } from "../../tests/support/refusal.ts";
import { attributesOf, parseRequestInfo } from "./request_info.ts";
import { readTarget } from "./request_target.ts";

const URL_OF_REQUEST = "https://localhost/a?b=c";

for (
  const [target, path] of [
    [undefined, "/a"],
    ["/x%2fy?z", "/x/y"],
    ["https://other/x?z", "/x"],
    ["*", "/*"],
    ["https://:", undefined],
    ["https://[", undefined],
    ["/%zz", undefined],
  ] as const
) {
  test(`readTarget() reads the path of ${target} as ${path}`, () => {
    assert.equal(readTarget(URL_OF_REQUEST, target).path, path);
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
      const { path = "", query } = readTarget(URL_OF_REQUEST, target);
      attributesOf(parseRequestInfo(method, path, query));
    });
  }));
});
