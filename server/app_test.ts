import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { parseTokenFile } from "../core/token/token_file.ts";
import { createTestApp, type TestApp } from "../tests/support/test_app.ts";
import { MAX_TARGET_LENGTH } from "./http/limits.ts";

const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const REVIEWS = "/apis/authorization.k8s.io/v1";
const WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const TOKEN = "a-secret-token";
let app: TestApp;

describe("the API", () => {
  before(async () => {
    const tokens = parseTokenFile(`${TOKEN},jane,7,"dev"\nadmin-token,root,8,"system:masters"\n`, "tokens.csv");
    assert.ok(tokens.ok);
    app = await createTestApp({ tokenFile: tokens.value });
  });
  after(() => app[Symbol.asyncDispose]());

  /** A request that passes authentication. */
  function call(method: string, path: string, headers: Record<string, string> = {}, body?: object) {
    return app.send(method, path, { user: undefined, headers, ...(body === undefined ? {} : { body }) });
  }

  const jane = { authorization: `Bearer ${TOKEN}` };
  const root = { authorization: "Bearer admin-token" };

  // apiserver/pkg/endpoints/filters/authentication.go and authorization.go.
  for (
    const { name, headers, code, message } of [
      { name: "an unknown token", headers: { authorization: "Bearer wrong" }, code: 401, message: "Unauthorized" },
      {
        name: "no credentials",
        headers: {},
        code: 403,
        message:
          'certificatesigningrequests.certificates.k8s.io is forbidden: User "system:anonymous" cannot list resource "certificatesigningrequests" in API group "certificates.k8s.io" at the cluster scope',
      },
      {
        name: "another scheme",
        headers: { authorization: "Basic eA==" },
        code: 403,
        message: /User "system:anonymous"/,
      },
      {
        name: "a user without permissions",
        headers: jane,
        code: 403,
        message:
          'certificatesigningrequests.certificates.k8s.io is forbidden: User "jane" cannot list resource "certificatesigningrequests" in API group "certificates.k8s.io" at the cluster scope',
      },
    ]
  ) {
    test(`a list answers ${code} to ${name}`, async () => {
      const answer = await call("GET", CSRS, headers);
      assert.equal(answer.code, code);
      assert.equal(answer.at("reason"), code === 401 ? "Unauthorized" : "Forbidden");
      if (typeof message === "string") assert.equal(answer.at("message"), message);
      else assert.match(String(answer.at("message")), message);
      assert.equal(answer.headers.get("x-content-type-options"), code === 403 ? "nosniff" : null);
      assert.equal(answer.headers.get("cache-control"), "no-cache, private");
    });
  }

  test("denials name the namespace, the subresource and the path, with HTML escaped", async () => {
    const lease = await call("GET", "/apis/coordination.k8s.io/v1/namespaces/foo/leases/x", jane);
    assert.equal(
      lease.at("message"),
      'leases.coordination.k8s.io "x" is forbidden: User "jane" cannot get resource "leases" in API group ' +
        '"coordination.k8s.io" in the namespace "foo"',
    );
    const approval = await call("PUT", `${CSRS}/x/approval`, jane, {});
    assert.match(
      String(approval.at("message")),
      /cannot update resource "certificatesigningrequests\/approval" in API group/,
    );
    const path = await call("GET", "/a%3C&%3Eb", jane);
    assert.equal(path.at("message"), 'forbidden: User "jane" cannot get path "/a&lt;&amp;&gt;b"');
  });

  test("a token after an extra space is ignored, with a warning", async () => {
    const answer = await call("GET", "/version", { authorization: `Bearer  ${TOKEN}` });
    assert.equal(answer.code, 200);
    assert.match(answer.headers.get("warning") ?? "", /extra space before the bearer token, and is ignored/);
  });

  test("every request needs credentials when anonymous requests are off", async () => {
    await using closed = await createTestApp({ anonymous: false });
    assert.equal((await closed.send("GET", "/healthz", { user: undefined })).code, 401);
  });

  for (const path of ["/healthz", "/livez", "/readyz", "/version"]) {
    test(`every client may read ${path}`, async () => assert.equal((await call("GET", path)).code, 200));
  }

  for (const path of ["/metrics", "/api", "/apis", "/openapi/v3", "/"]) {
    test(`reading ${path} requires credentials`, async () => assert.equal((await call("GET", path)).code, 403));
  }

  // apiserver/pkg/server/healthz.
  const HOOKS = "[+]poststarthook/start-system-namespaces-controller ok\n[+]poststarthook/rbac/bootstrap-roles ok\n";

  test("health answers ok, lists its checks on demand, and warns about unknown exclusions", async () => {
    const plain = await app.send("GET", "/healthz");
    assert.equal(plain.text, "ok");
    assert.equal(plain.headers.get("content-type"), "text/plain; charset=utf-8");
    assert.equal(plain.headers.get("x-content-type-options"), "nosniff");
    const verbose = await app.send("GET", "/readyz?verbose");
    assert.equal(
      verbose.text,
      "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]etcd-readiness ok\n[+]informer-sync ok\n" +
        `${HOOKS}[+]shutdown ok\nreadyz check passed\n`,
    );
    const excluded = await app.send("GET", "/livez?verbose&exclude=etcd&exclude=nope");
    assert.equal(
      excluded.text,
      `[+]ping ok\n[+]log ok\n[+]etcd excluded: ok\n${HOOKS}` +
        'warn: some health checks cannot be excluded: no matches for "nope"\n' +
        "livez check passed\n",
    );
    assert.equal((await app.send("GET", "/healthz/ping")).text, "ok");
    assert.equal((await app.send("GET", "/healthz/nope")).code, 404);
    assert.equal((await app.send("GET", "/healthz/")).code, 404);
    assert.equal((await app.send("POST", "/healthz")).code, 200);
  });

  test("health fails verbosely when the storage does, and readyz when the server stops", async () => {
    const broken = await createTestApp();
    await broken.storage[Symbol.asyncDispose]();
    const answer = await broken.send("GET", "/healthz");
    assert.equal(answer.code, 500);
    const failed = `[+]ping ok\n[+]log ok\n[-]etcd failed: reason withheld\n${HOOKS}healthz check failed\n`;
    assert.equal(answer.text, failed);
    await broken.api[Symbol.asyncDispose]();
    assert.match(
      (await broken.send("GET", "/readyz?exclude=etcd&exclude=etcd-readiness")).text,
      /\[-\]shutdown failed: reason withheld/,
    );
    assert.equal((await broken.send("GET", "/livez?exclude=etcd")).code, 200);
  });

  // The routes are those of kube-apiserver's router.
  for (
    const [method, path, code, message] of [
      ["GET", "/apis/foo/v1/bars", 404, undefined],
      ["GET", "/foo", 404, undefined],
      ["GET", "/apis/foo", 404, undefined],
      ["GET", "/apis/certificates.k8s.io/v1/foo", 404, "the server could not find the requested resource"],
      ["GET", "/apis/certificates.k8s.io/v2", 404, "the server could not find the requested resource"],
      ["GET", "/api/v2", 404, "the server could not find the requested resource"],
      ["GET", `${CSRS}/x/foo`, 404, "the server could not find the requested resource"],
      ["GET", `${CSRS}/x/status/y`, 404, "the server could not find the requested resource"],
      [
        "GET",
        "/apis/certificates.k8s.io/v1//certificatesigningrequests",
        404,
        "the server could not find the requested resource",
      ],
      [
        "GET",
        "/apis/certificates.k8s.io/v1/namespaces/default/certificatesigningrequests",
        404,
        "the server could not find the requested resource",
      ],
      ["GET", "/api/v1/secrets/x", 404, "the server could not find the requested resource"],
      ["GET", `${CSRS}/..`, 400, "Name parameter invalid: \"..\": may not be '..'"],
      ["GET", `${CSRS}/a%25b`, 400, "Name parameter invalid: \"a%b\": may not contain '%'"],
      ["POST", `${CSRS}/x`, 405, "the server does not allow this method on the requested resource"],
      ["PUT", CSRS, 405, "the server does not allow this method on the requested resource"],
      ["DELETE", `${CSRS}/x/approval`, 405, "the server does not allow this method on the requested resource"],
      [
        "GET",
        `${REVIEWS}/subjectaccessreviews`,
        405,
        "the server does not allow this method on the requested resource",
      ],
      ["POST", "/api/v1/secrets", 405, "the server does not allow this method on the requested resource"],
      ["POST", "/version", 405, "the server does not allow this method on the requested resource"],
      ["POST", "/api", 405, "the server does not allow this method on the requested resource"],
    ] as const
  ) {
    test(`${method} ${path} answers ${code}`, async () => {
      const answer = await app.send(method, path);
      assert.equal(answer.code, code);
      if (message === undefined) assert.equal(answer.text, "404 page not found\n");
      else assert.equal(answer.at("message"), message);
    });
  }

  test("malformed escapes in a path get 400, and HEAD works only outside the API", async () => {
    assert.equal((await app.send("GET", `${CSRS}/%zz`)).code, 400);
    assert.equal((await app.send("HEAD", `${CSRS}/x`)).code, 405);
    assert.equal((await app.send("HEAD", "/healthz")).code, 200);
  });

  // Each path is routed as Go's `net/url` parses it: decoded once, and never normalized.
  for (
    const { path, code, text } of [
      { path: "/health%7A", code: 200, text: /^ok$/ },
      { path: "/healthz%0A", code: 404, text: /^404 page not found\n$/ },
      {
        path: "/healthz/poststarthook/start%0Asystem-namespaces-controller",
        code: 404,
        text: /^404 page not found\n$/,
      },
      { path: "//version", code: 404, text: /^404 page not found\n$/ },
      { path: "/version/", code: 200, text: /"gitVersion"/ },
      { path: "/version/x", code: 404, text: /"reason":"NotFound"/ },
      { path: "/api%2Fv1%2Fnodes", code: 200, text: /"kind":"NodeList"/ },
      { path: "/api/v1/namespaces/default/configmaps/a%0Ab", code: 404, text: /"name":"a\\nb"/ },
      { path: "/api/v1/namespaces/default/configmaps/..", code: 400, text: /may not be '..'/ },
      { path: "//api/v1/nodes", code: 404, text: /^404 page not found\n$/ },
      { path: "/api/v2", code: 404, text: /"reason":"NotFound"/ },
      { path: "/apis/unknown.io/v1", code: 404, text: /^404 page not found\n$/ },
    ]
  ) {
    test(`GET ${path} answers ${code}`, async () => {
      const answer = await app.send("GET", path);
      assert.equal(answer.code, code, answer.text);
      assert.match(answer.text, text);
    });
  }

  test("the document at / lists the served paths", async () => {
    const paths = (await app.send("GET", "/")).at("paths") as readonly string[];
    assert.deepEqual(paths, [...paths].sort());
    for (const path of paths.filter((path) => path !== "/openapi/v3/")) {
      assert.equal((await app.send("GET", path)).code, 200, path);
    }
  });

  test("a request that accepts no media type of the answer gets 406 with the router's text, in indented JSON", async () => {
    const answer = await app.send("GET", CSRS, { headers: { accept: "text/plain" } });
    assert.equal(answer.code, 406);
    assert.match(
      String(answer.at("message")),
      /^406: Not Acceptable\n\nAvailable representations: application\/json, /,
    );
    assert.match(answer.text, /^\{\n {2}"kind": "Status",\n/);
    const yaml = await call("GET", CSRS, { accept: "application/yaml", authorization: "Bearer wrong" });
    assert.equal(yaml.headers.get("content-type"), "application/yaml");
  });

  test("every request has an id; the client may choose it", async () => {
    assert.match((await app.send("GET", "/version")).headers.get("audit-id") ?? "", /^[0-9a-f-]{36}$/);
    assert.equal(
      (await app.send("GET", "/version", { headers: { "audit-id": "mine" } })).headers.get("audit-id"),
      "mine",
    );
    // A long id is echoed in full (apiserver `endpoints/filters/audit_init.go`).
    const long = "x".repeat(65);
    assert.equal((await app.send("GET", "/version", { headers: { "audit-id": long } })).headers.get("audit-id"), long);
  });

  test("the audit log records user, request and decision, and no token", async () => {
    const from = app.auditLines.length;
    await call("GET", `${CSRS}/x?a=b`, { ...jane, "user-agent": "u".repeat(2000), "audit-id": "denied" });
    await call("GET", "/version", { authorization: "Bearer another-secret" });
    await call("GET", `${CSRS}/x`, { ...root, "impersonate-user": "bob" });
    const [denied, unauthorized, impersonated] = app.auditLines.slice(from).map((line) => JSON.parse(line));
    assert.equal(denied.auditID, "denied");
    assert.equal(denied.verb, "get");
    assert.equal(denied.requestURI, `${CSRS}/x?a=b`);
    assert.deepEqual(denied.user, { username: "jane", uid: "7", groups: ["dev", "system:authenticated"] });
    assert.deepEqual(denied.sourceIPs, ["192.0.2.1"]);
    assert.equal(denied.responseStatus.code, 403);
    assert.equal(denied.annotations["authorization.k8s.io/decision"], "forbid");
    assert.deepEqual(denied.objectRef, {
      resource: "certificatesigningrequests",
      name: "x",
      apiGroup: "certificates.k8s.io",
      apiVersion: "v1",
    });
    assert.equal(denied.userAgent, `${"u".repeat(1024)}...TRUNCATED`);
    assert.equal(unauthorized.responseStatus.code, 401);
    assert.equal(impersonated.user.username, "root");
    assert.equal(impersonated.impersonatedUser.username, "bob");
    const log = JSON.stringify(app.logger.entries);
    for (const secret of [TOKEN, "admin-token", "another-secret"]) {
      assert.ok(!app.auditLines.join("\n").includes(secret));
      assert.ok(!log.includes(secret));
    }
  });

  // apiserver/pkg/endpoints/filters/impersonation.
  test("SelfSubjectReview returns the user after impersonation with repeated groups", async () => {
    const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
    const self = await call("POST", WHOAMI, jane, review);
    assert.equal(self.code, 201);
    assert.deepEqual(self.at("status/userInfo"), {
      username: "jane",
      uid: "7",
      groups: ["dev", "system:authenticated"],
    });
    const other = await app.send("POST", WHOAMI, {
      user: undefined,
      body: review,
      headers: { ...root, "impersonate-user": "u", "impersonate-uid": "i", "impersonate-extra-Foo%2fbar": "v" },
      rawHeaders: ["Impersonate-Group", "g,1", "Impersonate-Group", "g2"],
    });
    assert.deepEqual(other.at("status/userInfo"), {
      username: "u",
      uid: "i",
      groups: ["g,1", "g2", "system:authenticated"],
      extra: { "foo/bar": ["v"] },
    });
    const nameless = await call("POST", WHOAMI, { ...root, "impersonate-group": "g" }, review);
    assert.equal(nameless.code, 400);
    const refused = await call("POST", WHOAMI, { ...jane, "impersonate-user": "u" }, review);
    assert.equal(refused.code, 403);
  });

  test("access reviews answer for the named user, and validate their input", async () => {
    const ask = (resource: string, spec: object) => app.send("POST", `${REVIEWS}/${resource}`, { body: { spec } });
    const resourceAttributes = { verb: "create", group: "certificates.k8s.io", resource: "certificatesigningrequests" };
    const node = await ask("subjectaccessreviews", {
      user: "system:node:n1",
      groups: ["system:nodes"],
      resourceAttributes,
    });
    assert.equal(node.code, 201);
    assert.equal(node.at("status/allowed"), true);
    const unbound = await ask("subjectaccessreviews", { user: "u", resourceAttributes });
    assert.deepEqual(unbound.at("status"), { allowed: false });
    const self = await ask("selfsubjectaccessreviews", { nonResourceAttributes: { path: "/x", verb: "get" } });
    assert.equal(self.at("status/allowed"), true);
    const both = await ask("selfsubjectaccessreviews", { resourceAttributes, nonResourceAttributes: { path: "/" } });
    assert.equal(both.code, 422);
    assert.match(
      String(both.at("message")),
      /^\.authorization\.k8s\.io "" is invalid: spec: Invalid value: .*exactly one of/,
    );
    const unnamed = await ask("subjectaccessreviews", { resourceAttributes });
    assert.match(String(unnamed.at("message")), /at least one of user or group must be specified$/);
    const rules = await ask("selfsubjectrulesreviews", {});
    assert.equal(rules.at("message"), "no namespace on request");
    const token = await app.send("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {
      body: { spec: { token: TOKEN } },
    });
    assert.equal(token.at("status/authenticated"), true);
    const wrong = await app.send("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {
      body: { spec: { token: "x" } },
    });
    assert.deepEqual(wrong.at("status"), { user: {}, error: "invalid bearer token" });
  });

  test("metrics count requests under kube-apiserver's names", async () => {
    await app.send("GET", `${CSRS}/nothing`);
    const page = await app.send("GET", "/metrics");
    assert.match(page.headers.get("content-type") ?? "", /^text\/plain/);
    assert.match(
      page.text,
      /apiserver_request_total\{verb="GET",dry_run="",group="certificates\.k8s\.io",version="v1",resource="certificatesigningrequests",subresource="",scope="resource",component="apiserver",code="404"\} \d+/,
    );
  });

  test("app answers 504 to a request that times out before it begins, whatever its handler does later", async () => {
    await using api = await createTestApp();
    const answer = await api.send("GET", "/api/v1/namespaces/default?timeout=1ns");
    assert.equal(answer.code, 504);
  });

  test("a request target may have 64 KiB, and a longer one gets 414 before authentication", async () => {
    const target = (length: number) => `/version?${"a&".repeat(length)}`.slice(0, length);
    assert.equal((await call("GET", target(MAX_TARGET_LENGTH))).code, 200);
    const { code, text } = await call("GET", target(MAX_TARGET_LENGTH + 1), { authorization: "Bearer wrong" });
    assert.deepEqual([code, text], [414, "414 URI Too Long"]);
  });
});
