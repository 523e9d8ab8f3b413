import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createTestApp, type TestApp } from "../../tests/support/test_app.ts";

const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
let app: TestApp;

describe("discovery", () => {
  before(async () => void (app = await createTestApp()));
  after(() => app[Symbol.asyncDispose]());

  // apiserver/pkg/endpoints/discovery/aggregated.
  for (const path of ["/api", "/apis"]) {
    test(`${path} is aggregated for clients that request it, with an ETag`, async () => {
      const accept = `${AGGREGATED},application/json`;
      const answer = await app.send("GET", `${path}?timeout=32s`, { headers: { accept } });
      assert.equal(answer.headers.get("content-type"), AGGREGATED);
      assert.equal(answer.headers.get("cache-control"), "public");
      assert.equal(answer.headers.get("vary"), "Accept");
      assert.equal(answer.at("kind"), "APIGroupDiscoveryList");
      const etag = answer.headers.get("etag") ?? "";
      assert.match(etag, /^"[0-9A-F]+"$/);
      const again = await app.send("GET", path, { headers: { accept, "if-none-match": etag } });
      assert.equal(again.code, 304);
      assert.equal(again.text, "");
      const plain = await app.send("GET", path, { headers: { accept: "application/json, */*" } });
      assert.equal(plain.at("kind"), path === "/api" ? "APIVersions" : "APIGroupList");
    });
  }

  test("aggregated discovery describes the CSR resource as kubectl needs it", async () => {
    const answer = await app.send("GET", "/apis", { headers: { accept: `${AGGREGATED};profile=nopeer` } });
    const items = answer.at("items") as readonly {
      metadata: { name: string };
      versions: readonly { resources: readonly object[] }[];
    }[];
    const group = items.find(({ metadata }) => metadata.name === "certificates.k8s.io");
    const responseKind = { group: "", version: "", kind: "CertificateSigningRequest" };
    const verbs = ["get", "patch", "update"];
    assert.deepEqual(group?.versions[0]?.resources[0], {
      resource: "certificatesigningrequests",
      responseKind,
      scope: "Cluster",
      singularResource: "certificatesigningrequest",
      verbs: ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
      shortNames: ["csr"],
      subresources: [{ subresource: "approval", responseKind, verbs }, { subresource: "status", responseKind, verbs }],
    });
  });

  // conformance B1–B3.
  test("the legacy discovery lists groups, versions and resources", async () => {
    const groups = await app.send("GET", "/apis");
    const names = (groups.at("groups") as { name: string }[]).map(({ name }) => name);
    assert.ok(names.includes("certificates.k8s.io"));
    const group = await app.send("GET", "/apis/certificates.k8s.io");
    assert.equal(group.at("kind"), "APIGroup");
    assert.equal(group.at("preferredVersion/groupVersion"), "certificates.k8s.io/v1");
    const list = await app.send("GET", "/apis/certificates.k8s.io/v1");
    assert.deepEqual(
      (list.at("resources") as { name: string }[]).map(({ name }) => name),
      [
        "certificatesigningrequests",
        "certificatesigningrequests/approval",
        "certificatesigningrequests/status",
        "clustertrustbundles",
        "podcertificaterequests",
        "podcertificaterequests/status",
      ],
    );
    const core = await app.send("GET", "/api");
    assert.equal(
      core.text,
      '{"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0","serverAddress":"127.0.0.1:6443"}]}\n',
    );
    const protobuf = await app.send("GET", "/apis", { headers: { accept: "application/vnd.kubernetes.protobuf" } });
    assert.deepEqual([...protobuf.bytes.subarray(0, 4)], [0x6b, 0x38, 0x73, 0x00]);
  });

  test("every resource that discovery lists is served", async () => {
    const groups = await app.send("GET", "/apis");
    const versions = (groups.at("groups") as { versions: { groupVersion: string }[] }[]).flatMap(({ versions }) =>
      versions
    );
    for (const path of ["/api/v1", ...versions.map(({ groupVersion }) => `/apis/${groupVersion}`)]) {
      const list = await app.send("GET", path);
      for (
        const { name, namespaced, verbs } of list.at("resources") as {
          name: string;
          namespaced: boolean;
          verbs: string[];
        }[]
      ) {
        if (name.includes("/") || !verbs.includes("list")) continue;
        const collection = await app.send("GET", `${path}/${namespaced ? "namespaces/default/" : ""}${name}`);
        assert.equal(collection.code, 200, `${path} ${name}`);
      }
    }
  });

  // k8s.io/kube-openapi/pkg/handler3/handler.go.
  test("OpenAPI v3 documents are found by their hash, and may be cached for ever", async () => {
    const root = await app.send("GET", "/openapi/v3");
    const url = String(
      (root.at("paths") as Record<string, { serverRelativeURL: string }>)["apis/certificates.k8s.io/v1"]
        ?.serverRelativeURL,
    );
    const document = await app.send("GET", url);
    assert.equal(document.headers.get("cache-control"), "public, immutable");
    assert.equal(document.at("openapi"), "3.0.0");
    const etag = document.headers.get("etag") ?? "";
    assert.equal((await app.send("GET", url, { headers: { "if-none-match": etag } })).code, 304);
    const moved = await app.send("GET", "/openapi/v3/apis/certificates.k8s.io/v1?hash=AB");
    assert.equal(moved.code, 301);
    assert.equal(moved.headers.get("location"), url);
    assert.equal((await app.send("GET", "/openapi/v3/apis/foo/v1")).code, 404);
  });

  test("OpenAPI v2 is protobuf for kubectl and JSON by default", async () => {
    const type = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    const protobuf = await app.send("GET", "/openapi/v2", { headers: { accept: type } });
    assert.equal(protobuf.headers.get("content-type"), "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
    assert.equal((await app.send("GET", "/openapi/v2")).at("swagger"), "2.0");
    assert.equal((await app.send("GET", "/openapi/v2", { headers: { accept: "text/plain" } })).code, 406);
  });
});
