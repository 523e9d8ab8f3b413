import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ALL_KINDS,
  certificateSigningRequestKind,
  nodeKind,
  secretKind,
  subjectAccessReviewKind,
} from "../kinds/mod.ts";
import type { OpenApiObject } from "./schemas.ts";
import type { ServedKind } from "./route.ts";
import { createOpenApiV3Documents } from "./v3.ts";

const VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const SUB_VERBS = ["get", "patch", "update"];
const SERVED: readonly ServedKind[] = ALL_KINDS.map((kind) => ({
  kind,
  verbs: kind.listKind === "" ? ["create"] : VERBS,
  subresources: kind === certificateSigningRequestKind
    ? [{ name: "approval", verbs: SUB_VERBS }, { name: "status", verbs: SUB_VERBS }]
    : [],
}));

/** Follows keys into plain JSON, because the document has no type. */
function at(value: unknown, ...path: (string | number)[]): OpenApiObject {
  let current = value;
  for (const step of path) current = (current as Record<string | number, unknown>)[step];
  return current as OpenApiObject;
}

const documents = createOpenApiV3Documents(SERVED, "v1.37.2");

function createDocument(name: string): OpenApiObject {
  const make = documents.get(name);
  assert.ok(make, `${name} is missing`);
  return make();
}

const certificates = createDocument("apis/certificates.k8s.io/v1");
const core = createDocument("api/v1");
const ROOT = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

test("createOpenApiV3Documents() has the paths of a cluster-wide kind with subresources", () => {
  const paths = Object.keys(at(certificates, "paths"));
  assert.ok(paths.includes("/apis/certificates.k8s.io/v1/"));
  assert.deepEqual(paths.filter((path) => path.includes("certificatesigningrequests")), [
    ROOT,
    `${ROOT}/{name}`,
    `${ROOT}/{name}/approval`,
    `${ROOT}/{name}/status`,
    "/apis/certificates.k8s.io/v1/watch/certificatesigningrequests",
    "/apis/certificates.k8s.io/v1/watch/certificatesigningrequests/{name}",
  ]);
  assert.deepEqual(Object.keys(at(certificates, "paths", ROOT)), ["get", "post", "delete", "parameters"]);
  assert.deepEqual(Object.keys(at(certificates, "paths", `${ROOT}/{name}/approval`)), [
    "get",
    "put",
    "patch",
    "parameters",
  ]);
});

test("createOpenApiV3Documents() has the paths of a namespaced kind", () => {
  const paths = Object.keys(at(core, "paths")).filter((path) => path.includes("secrets"));
  assert.deepEqual(paths, [
    "/api/v1/namespaces/{namespace}/secrets",
    "/api/v1/namespaces/{namespace}/secrets/{name}",
    "/api/v1/secrets",
    "/api/v1/watch/namespaces/{namespace}/secrets",
    "/api/v1/watch/namespaces/{namespace}/secrets/{name}",
    "/api/v1/watch/secrets",
  ]);
  assert.deepEqual(Object.keys(at(core, "paths", "/api/v1/secrets")), ["get", "parameters"]);
});

test("createOpenApiV3Documents() has the patch operation that kubectl looks for", () => {
  const patch = at(certificates, "paths", `${ROOT}/{name}`, "patch");
  assert.deepEqual(patch["x-kubernetes-group-version-kind"], {
    group: "certificates.k8s.io",
    version: "v1",
    kind: "CertificateSigningRequest",
  });
  const names = (patch["parameters"] as OpenApiObject[]).map(({ name }) => name);
  assert.ok(names.includes("fieldValidation") && names.includes("dryRun"));
  assert.deepEqual(Object.keys(at(patch, "requestBody", "content")), [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
  ]);
  assert.equal(patch["operationId"], "patchCertificatesV1CertificateSigningRequest");
});

test("createOpenApiV3Documents() lists a review with its only verb", () => {
  const document = createDocument(`apis/${subjectAccessReviewKind.group}/v1`);
  const path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
  assert.deepEqual(Object.keys(at(document, "paths", path)), ["post", "parameters"]);
  assert.equal(at(document, "components", "schemas")["io.k8s.api.authorization.v1.SubjectAccessReviewList"], undefined);
});

test("createOpenApiV3Documents() describes kinds, with merge rules for lists", () => {
  const schemas = at(certificates, "components", "schemas");
  const root = at(schemas, certificateSigningRequestKind.schema.name);
  assert.deepEqual(Object.keys(at(root, "properties")), ["apiVersion", "kind", "metadata", "spec", "status"]);
  assert.deepEqual(root["required"], ["spec"]);
  const status = at(schemas, "io.k8s.api.certificates.v1.CertificateSigningRequestStatus", "properties");
  assert.equal(at(status, "conditions")["x-kubernetes-list-type"], "map");
  assert.deepEqual(at(status, "conditions")["x-kubernetes-list-map-keys"], ["type"]);
  assert.equal(at(status, "certificate")["format"], "byte");
  const nodes = at(core, "components", "schemas", "io.k8s.api.core.v1.NodeStatus", "properties", "conditions");
  assert.equal(nodes["x-kubernetes-patch-merge-key"], "type");
  assert.equal(nodes["x-kubernetes-patch-strategy"], "merge");
  assert.equal(nodeKind.kind, "Node");
});

test("createOpenApiV3Documents() has no reference to a schema that is missing, and every operation its own name", () => {
  for (const make of documents.values()) {
    const document = make();
    const text = JSON.stringify(document);
    const schemas = at(document, "components", "schemas");
    for (const [, name = ""] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) assert.ok(schemas[name], name);
    const operations = [...text.matchAll(/"operationId":"([^"]+)"/g)].map(([, name]) => name);
    assert.equal(new Set(operations).size, operations.length);
  }
  assert.equal(secretKind.kind, "Secret");
});
