import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRequestInfo, toAttributes } from "./request_info.ts";
import { decodePath } from "./request_target.ts";

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
  test(`parseRequestInfo() takes ${path} for a path`, () => {
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
  // A regular expression took minutes over it, in which nobody else was served.
  assert.equal(parseRequestInfo("GET", path, new URLSearchParams()).isResourceRequest, false);
});
