import assert from "node:assert/strict";
import { test } from "node:test";
import { project } from "./project.ts";

const CERTIFICATES = "certificates.k8s.io";

test("project() reduces lists of groups and of resources to the served ones, which it keeps unchanged", () => {
  const groups = [{ name: CERTIFICATES, versions: [] }, { name: "apps", versions: [] }];
  assert.deepEqual(project("groups", { kind: "APIGroupList", groups }), { kind: "APIGroupList", groups: [groups[0]] });
  const resources = [
    { name: "certificatesigningrequests" },
    { name: "certificatesigningrequests/approval" },
    { name: "certificatesigningrequests/nothing" },
    { name: "unknowns" },
  ];
  const list = { groupVersion: `${CERTIFICATES}/v1`, resources };
  assert.deepEqual(project("discovery", list), { ...list, resources: resources.slice(0, 2) });
  const core = { groupVersion: "v1", resources: [{ name: "pods" }, { name: "secrets" }] };
  assert.deepEqual(project("discovery", core), { ...core, resources: [{ name: "secrets" }] });
  const faulty = { groupVersion: "v1", kind: "X", resources: [{ name: "secrets", kind: "Pod" }, { name: "secrets" }] };
  assert.deepEqual(project("discovery", faulty), faulty);
});

test("project() reduces aggregated discovery to served groups, resources and subresources", () => {
  const served = { resource: "nodes", scope: "Cluster", subresources: [{ subresource: "status" }] };
  const whole = { ...served, subresources: [...served.subresources, { subresource: "proxy" }] };
  const secrets = { resource: "secrets" };
  const document = (...resources: object[]) => ({
    kind: "APIGroupDiscoveryList",
    items: [{ metadata: {}, versions: [{ version: "v1", resources }] }],
  });
  const apps = { metadata: { name: "apps" }, versions: [{ version: "v1", resources: [{ resource: "deployments" }] }] };
  const sent = document(whole, { resource: "pods" }, { ...secrets, subresources: [{ subresource: "x" }] });
  assert.deepEqual(
    project("discovery", { ...sent, items: [...sent.items, apps] }),
    document(served, secrets),
  );
});

test("project() keeps the paths of `/` that both servers may have", () => {
  const kept = ["/api", "/apis", `/apis/${CERTIFICATES}/v1`, "/healthz", "/livez/ping", "/version"];
  const foreign = [
    "/apis/apps",
    "/debug/flags",
    "/livez/poststarthook/crd-informer-synced",
    "/metrics/slis",
    "/statusz",
  ];
  assert.deepEqual(project("discovery", { paths: [...kept, ...foreign] }), { paths: kept });
});

test("project() keeps the checks that are served, and lines that are not checks", () => {
  const text = "[+]ping ok\n[-]etcd failed: reason withheld\n[+]poststarthook/apiservice-x ok\nlivez check failed\n";
  assert.equal(project("checks", text), "[+]ping ok\n[-]etcd failed: reason withheld\nlivez check failed\n");
});

test("project() replaces the text of a YAML error, and nothing else", () => {
  for (
    const [message, want] of [
      ["no ConfigMap: yaml: line 2: did not find expected ',' or '}' (7b0a)", "no ConfigMap: <YAML error> (7b0a)"],
      ["error decoding patch: yaml: found (x)\ny", "error decoding patch: <YAML error>"],
      ["not found", "not found"],
    ]
  ) assert.deepEqual(project("yaml", { kind: "Status", message }), { kind: "Status", message: want });
});

test("project() compares OpenAPI without descriptions, and only the schemas of served paths", () => {
  const path = `/apis/${CERTIFICATES}/v1/certificatesigningrequests`;
  const operation = (name: string) => ({
    get: { description: "words", schema: { $ref: `#/components/schemas/${name}` } },
  });
  const schemas = {
    A: {
      description: "words",
      properties: { description: { type: "string", description: "words" }, b: { $ref: "#/x/B" } },
    },
    B: { type: "string" },
    C: { type: "string" },
  };
  const document = {
    openapi: "3.0.0",
    paths: { [path]: operation("A"), [`/apis/${CERTIFICATES}/v1/unknowns`]: operation("C") },
    components: { schemas },
  };
  assert.deepEqual(project("openapi", document), {
    openapi: "3.0.0",
    paths: { [path]: { get: { schema: { $ref: "#/components/schemas/A" } } } },
    components: {
      schemas: { A: { properties: { description: { type: "string" }, b: { $ref: "#/x/B" } } }, B: { type: "string" } },
    },
  });
});

test("project() keeps the list of OpenAPI documents of served versions", () => {
  const paths = { "api/v1": {}, "apis/certificates.k8s.io/v1": {}, "apis/apps/v1": {}, version: {}, logs: {} };
  assert.deepEqual(project("openapi", JSON.stringify({ paths })), {
    paths: { "api/v1": {}, "apis/certificates.k8s.io/v1": {}, version: {} },
  });
});

test("project() keeps refusals whole, and throws for an unknown projection", () => {
  const status = { kind: "Status", code: 403, message: "forbidden" };
  for (const kind of ["openapi", "discovery", "groups", "checks"]) assert.deepEqual(project(kind, status), status);
  assert.throws(() => project("other", status), /no projection is called other; known are openapi/);
});

test("project() sorts the rules of a SelfSubjectRulesReview", () => {
  const a = { verbs: ["get"], resources: ["a"] };
  const b = { verbs: ["get"], resources: ["b"] };
  const body = (...rules: object[]) => ({ kind: "X", status: { resourceRules: rules, incomplete: false } });
  assert.deepEqual(project("rules", body(b, a)), body(a, b));
});

test("project() keeps bodies without rules", () => {
  for (const body of [null, "x", [], { kind: "Status", status: "Failure" }, { status: {} }]) {
    assert.deepEqual(project("rules", body), body);
  }
});
