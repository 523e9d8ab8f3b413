import assert from "node:assert/strict";
import { test } from "node:test";
import { decodePath, parseRequestInfo, parseTarget, toAttributes } from "./request_info.ts";
import fc, { anyText } from "../../tests/support/properties.ts";
import { refusable } from "../../tests/support/describe_refusal.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

// apiserver/pkg/endpoints/request/requestinfo_test.go; order: verb, group, namespace, resource, subresource, name.
for (
  const [method, url, want] of [
    ["POST", CSRS, "create certificates.k8s.io - certificatesigningrequests - -"],
    ["GET", `${CSRS}/a`, "get certificates.k8s.io - certificatesigningrequests - a"],
    ["HEAD", `${CSRS}/a`, "get certificates.k8s.io - certificatesigningrequests - a"],
    ["GET", CSRS, "list certificates.k8s.io - certificatesigningrequests - -"],
    ["GET", `${CSRS}/`, "list certificates.k8s.io - certificatesigningrequests - -"],
    ["GET", `${CSRS}?watch=true`, "watch certificates.k8s.io - certificatesigningrequests - -"],
    ["GET", `${CSRS}?watch=`, "watch certificates.k8s.io - certificatesigningrequests - -"],
    ["GET", `${CSRS}?watch=0`, "list certificates.k8s.io - certificatesigningrequests - -"],
    ["GET", `${CSRS}?watch=false`, "list certificates.k8s.io - certificatesigningrequests - -"],
    ["GET", `${CSRS}/a?watch=1`, "get certificates.k8s.io - certificatesigningrequests - a"],
    ["GET", `${CSRS}?fieldSelector=metadata.name%3Da`, "list certificates.k8s.io - certificatesigningrequests - a"],
    ["GET", `${CSRS}?fieldSelector=metadata.name%3Da%2Fb`, "list certificates.k8s.io - certificatesigningrequests - -"],
    ["GET", `${CSRS}?fieldSelector=metadata.name!%3Da`, "list certificates.k8s.io - certificatesigningrequests - -"],
    ["PUT", `${CSRS}/a/approval`, "update certificates.k8s.io - certificatesigningrequests approval a"],
    ["PATCH", `${CSRS}/a/status`, "patch certificates.k8s.io - certificatesigningrequests status a"],
    ["DELETE", `${CSRS}/a`, "delete certificates.k8s.io - certificatesigningrequests - a"],
    ["DELETE", CSRS, "deletecollection certificates.k8s.io - certificatesigningrequests - -"],
    ["GET", `${CSRS}/node-csr-AbC_%20x:1`, "get certificates.k8s.io - certificatesigningrequests - node-csr-AbC_ x:1"],
    ["GET", `${CSRS}/a%2Fstatus`, "get certificates.k8s.io - certificatesigningrequests status a"],
    [
      "GET",
      "/apis/certificates.k8s.io/v1/watch/certificatesigningrequests/a",
      "watch certificates.k8s.io - certificatesigningrequests - a",
    ],
    ["GET", "/api/v1/namespaces", "list - - namespaces - -"],
    ["GET", "/api/v1/namespaces/ns", "get - ns namespaces - ns"],
    ["PUT", "/api/v1/namespaces/ns/finalize", "update - ns namespaces finalize ns"],
    ["GET", "/api/v1/namespaces/ns/secrets", "list - ns secrets - -"],
    ["GET", "/api/v1/namespaces/ns/secrets/s", "get - ns secrets - s"],
    ["GET", "/api/v1/secrets", "list - - secrets - -"],
    ["GET", "/apis/coordination.k8s.io/v1/namespaces/ns/leases/l", "get coordination.k8s.io ns leases - l"],
  ] as const
) {
  test(`parseRequestInfo() reads ${method} ${url}`, () => {
    const [path = "", query = ""] = url.split("?");
    const info = parseRequestInfo(method, decodePath(path) ?? "", new URLSearchParams(query));
    const { verb, apiGroup, namespace, resource, subresource, name } = info;
    const shown = [verb, apiGroup, namespace, resource, subresource, name].map((part) => part === "" ? "-" : part);
    assert.equal(info.isResourceRequest, true);
    assert.equal(shown.join(" "), want);
  });
}

for (
  const path of [
    "/",
    "/api",
    "/api/v1",
    "/apis",
    "/apis/g",
    "/apis/g/v1",
    "/version",
    "/healthz",
    "/openapi/v3/apis/g/v1",
  ]
) {
  test(`parseRequestInfo() reads ${path} as a path without a resource`, () => {
    const info = parseRequestInfo("POST", path, new URLSearchParams());
    assert.deepEqual(toAttributes(info), { kind: "path", verb: "post", path });
  });
}

test("decodePath() refuses broken escapes", () => {
  assert.equal(decodePath("/a%zz"), undefined);
  assert.equal(decodePath("/a%3Cb"), "/a<b");
});

test("parseRequestInfo() reads a path of a million slashes at once", () => {
  const path = `/a${"/".repeat(1_000_000)}b/`;
  // A regular expression took minutes for this path, and no other request was served meanwhile.
  assert.equal(parseRequestInfo("GET", path, new URLSearchParams()).isResourceRequest, false);
});

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
  test(`parseTarget() reads the path of ${target} as ${path}`, () => {
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
  test(`parseTarget() reads the query ${query} as ${JSON.stringify(want)}`, () => {
    assert.deepEqual([...parseTarget(`/?${query}`).query], want);
  });
}

test("parseTarget() and parseRequestInfo() never throw, whatever the request line", () => {
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
    anyText(),
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
