/**
 * Which fault is reported when a request has several. Every answer was observed on kube-apiserver 1.37, which gets the
 * same requests in `tests/interop/corpus/order_of_checks.yaml`.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { AUTHENTICATED_GROUP } from "../core/kube/user.ts";
import { createTestApp, type TestApp } from "../tests/support/test_app.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const AS_LIST = { accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io" };
const AS_OBJECT = { accept: "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io" };
const MERGE = { "content-type": "application/merge-patch+json" };
const APPLY = { "content-type": "application/apply-patch+yaml" };
const NO_LIST = "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)";
const NO_VERSION = 'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax';
const BAD_NAME = "Name parameter invalid: \"a%b\": may not contain '%'";
const JANE = { username: "jane", uid: "", groups: [AUTHENTICATED_GROUP], extra: {} };

let app: TestApp;
describe("the order of checks", () => {
  before(async () => {
    app = await createTestApp();
  });
  after(() => app[Symbol.asyncDispose]());

  for (
    const { request, headers, body, code, message, user } of [
      { request: `GET ${MAPS}/nothing`, headers: AS_LIST, code: 404, message: 'configmaps "nothing" not found' },
      { request: `POST ${MAPS}`, headers: AS_LIST, body: { metadata: { name: "a" } }, code: 406, message: NO_LIST },
      {
        request: `POST ${MAPS}`,
        headers: AS_LIST,
        body: { metadata: { name: "a" } },
        code: 409,
        message: 'configmaps "a" already exists',
      },
      { request: `GET ${MAPS}/a`, headers: AS_LIST, code: 406, message: NO_LIST },
      {
        request: `GET ${MAPS}`,
        headers: AS_OBJECT,
        code: 406,
        message: "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)",
      },
      {
        request: `GET ${MAPS}?limit=a`,
        headers: AS_OBJECT,
        code: 400,
        message: 'strconv.ParseInt: parsing "a": invalid syntax',
      },
      {
        request: "POST /apis/authentication.k8s.io/v1/selfsubjectreviews",
        headers: AS_LIST,
        body: {},
        code: 406,
        message: "you requested PartialObjectMetadataList, but the requested object is not a list " +
          "(*authentication.SelfSubjectReview)",
      },
      {
        request: `POST ${MAPS}`,
        body: { metadata: { name: "a", generateName: "b" } },
        code: 409,
        message: 'configmaps "a" already exists, the server was not able to generate a unique name for the object',
      },
      {
        request: `POST ${MAPS}`,
        body: { apiVersion: "a\\b", kind: "c\nd" },
        code: 400,
        message:
          'c\nd in version "a\\\\b" cannot be handled as a ConfigMap: no kind "c\\nd" is registered for version ' +
          '"a\\\\b" in scheme "pkg/runtime/scheme.go:111"',
      },
      {
        request: `POST ${MAPS}`,
        body: { apiVersion: "unknown/v3", kind: "Status" },
        code: 400,
        message:
          'Status in version "v3" cannot be handled as a ConfigMap: converting (v1.Status) to (core.ConfigMap): ' +
          "unknown conversion",
      },
      {
        request: `POST ${MAPS}`,
        body: { kind: "Status", metadata: { resourceVersion: 1 } },
        code: 400,
        message:
          'Status in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct ' +
          "field ListMeta.metadata.resourceVersion of type string",
      },
      {
        request: `PATCH ${MAPS}/a`,
        headers: MERGE,
        body: { metadata: { generateName: "Bad" } },
        code: 422,
        message:
          'ConfigMap "a" is invalid: metadata.generateName: Invalid value: "Bad": a lowercase RFC 1123 subdomain ' +
          "must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric " +
          "character (e.g. 'example.com', regex used for validation is " +
          "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      },
      {
        request: `DELETE ${MAPS}/a`,
        body: { kind: "Status" },
        code: 400,
        message: "converting (v1.Status) to (v1.DeleteOptions): unknown conversion",
      },
      {
        request: `DELETE ${MAPS}/a`,
        body: { kind: "Options" },
        code: 400,
        message: 'no kind "Options" is registered for version "meta.k8s.io/v1" in scheme "pkg/runtime/scheme.go:111"',
      },
      {
        request: "PUT /apis/rbac.authorization.k8s.io/v1/namespaces/nothing/roles/a",
        body: { metadata: { name: "a", resourceVersion: "x" } },
        code: 404,
        message: 'namespaces "nothing" not found',
      },
      {
        request: "PUT /apis/rbac.authorization.k8s.io/v1/namespaces/default/roles/a",
        body: { metadata: { name: "a", resourceVersion: "x" } },
        code: 500,
        message: 'strconv.ParseUint: parsing "x": invalid syntax',
      },
      {
        request: `PATCH ${MAPS}/a?fieldManager=m`,
        headers: APPLY,
        body: { apiVersion: "v1", kind: "ConfigMap", metadata: { managedFields: [{ manager: 5 }] } },
        code: 500,
        message: "failed to create typed patch object (/; /v1, Kind=ConfigMap): .metadata.managedFields[0].manager: " +
          "expected string, got &value.valueUnstructured{Value:5}",
      },
      {
        request: "POST /api/v1/namespaces/default/events",
        body: { metadata: { name: "a", labels: { a: "-" } }, involvedObject: { namespace: "default" } },
        code: 422,
        message:
          'Event "a" is invalid: metadata.labels: Invalid value: "-": a valid label must be an empty string or ' +
          "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character " +
          "(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is " +
          "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
      },
      { request: `GET ${MAPS}/a?resourceVersion=x`, code: 500, message: NO_VERSION },
      {
        request: "GET /api/v1/namespaces/default/events/a?resourceVersion=x",
        code: 400,
        message: `invalid resource version: ${NO_VERSION}`,
      },
      {
        request: `PUT ${MAPS}/a%25b?dryRun=x`,
        body: {},
        code: 422,
        message: 'UpdateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["x"]: supported values: "All"',
      },
      { request: `PUT ${MAPS}/a%25b`, body: { metadata: { name: "a%b" } }, code: 400, message: BAD_NAME },
      { request: `PATCH ${MAPS}/a%25b`, headers: MERGE, body: "{", code: 400, message: "invalid JSON patch" },
      { request: `PATCH ${MAPS}/a%25b?fieldManager=m`, headers: APPLY, body: "[]", code: 400, message: BAD_NAME },
      {
        request: `PUT ${MAPS}/b`,
        body: { metadata: { namespace: "other" } },
        code: 400,
        message: "the namespace of the provided object does not match the namespace sent on the request",
      },
      {
        request: "POST /api/v1/namespaces/a%25b/configmaps",
        body: { metadata: { name: "a" } },
        code: 500,
        message: "Internal error occurred: invalid resource name \"a%b\": [may not contain '%']",
      },
      { request: "GET /api/v1/namespaces//configmaps/a", code: 400, message: "Namespace parameter required." },
      { request: "DELETE /api/v1/namespaces//configmaps", code: 400, message: "Namespace parameter required." },
      {
        request: "POST /api/v1/namespaces//configmaps",
        body: { metadata: { name: "a" } },
        code: 422,
        message: 'ConfigMap "a" is invalid: metadata.namespace: Required value',
      },
      {
        request: "POST /apis/authorization.k8s.io/v1/namespaces//localsubjectaccessreviews",
        body: { spec: { user: "a", resourceAttributes: { verb: "get", resource: "secrets" } } },
        code: 400,
        message: "namespace is required on this type: ",
      },
      { request: "PUT /api/v1/nodes//status", body: {}, code: 400, message: "name must be provided" },
      {
        request: "GET /api/v1/namespaces//nodes",
        code: 404,
        message: "the server could not find the requested resource",
      },
      {
        request: `GET ${MAPS}?fieldSelector=metadata.name=a&limit=x`,
        user: JANE,
        code: 403,
        message: 'configmaps is forbidden: User "jane" cannot list resource "configmaps" in API group "" in the ' +
          'namespace "default"',
      },
    ]
  ) {
    test(`${request} answers ${code}${headers === undefined ? "" : ` to ${Object.values(headers)[0]}`}`, async () => {
      const [method = "", path = ""] = request.split(" ");
      const answer = await app.send(method, path, {
        ...(user === undefined ? {} : { user }),
        ...(headers === undefined ? {} : { headers }),
        ...(body === undefined ? {} : { body }),
      });
      assert.equal(answer.at("message"), message);
      assert.equal(answer.code, code);
    });
  }

  test("GET /apis//v1/configmaps is not a path of the core group", async () => {
    assert.equal((await app.send("GET", "/apis//v1/configmaps")).text, "404 page not found\n");
  });

  test("a deletion by query has the resourceVersion as a precondition", async () => {
    const answer = await app.send("DELETE", `${MAPS}?resourceVersion=00`);
    assert.equal(answer.code, 409);
    assert.match(
      String(answer.at("message")),
      /^Operation cannot be fulfilled on ConfigMap "a": the ResourceVersion in the precondition \(00\) does not match/,
    );
  });

  test("a strategic merge patch cannot change the type to anything but a string", async () => {
    const headers = { "content-type": "application/strategic-merge-patch+json" };
    const answer = await app.send("PATCH", `${MAPS}/a`, { headers, body: { apiVersion: [] } });
    assert.equal(answer.code, 422);
    assert.equal(
      answer.at("message"),
      ' "" is invalid: patch: Invalid value: "map[apiVersion:[]]": unrecognized type: string',
    );
  });

  test("a dry run with a different uid reports the key without the prefix of etcd", async () => {
    const body = { metadata: { name: "a", uid: "x" } };
    for (const [query, key] of [["", "/registry/leases/default/a"], ["?dryRun=All", "/leases/default/a"]]) {
      const answer = await app.send("PUT", `/apis/coordination.k8s.io/v1/namespaces/default/leases/a${query}`, {
        body,
      });
      assert.equal(
        answer.at("message"),
        'Operation cannot be fulfilled on leases.coordination.k8s.io "a": StorageError: invalid object, Code: 4, ' +
          `Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: x, ` +
          "UID in object meta: ",
      );
    }
  });

  test("an object in another version is decoded strictly before its version is refused", async () => {
    const events = "/apis/events.k8s.io/v1/namespaces/default/events";
    const body = { apiVersion: "v1", reportingController: "example.com/c" };
    const warned = await app.send("POST", events, { body });
    assert.equal(
      warned.at("message"),
      "the API version in the data (v1) does not match the expected API version (events.k8s.io/v1)",
    );
    assert.match(warned.headers.get("warning") ?? "", /unknown field \\"reportingController\\"/);
    const strict = await app.send("POST", `${events}?fieldValidation=Strict`, { body });
    assert.equal(
      strict.at("message"),
      'Event in version "v1" cannot be handled as a Event: strict decoding error: unknown field "reportingController"',
    );
  });
});
