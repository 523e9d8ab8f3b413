import assert from "node:assert/strict";
import { test } from "node:test";
import type { UserInfo } from "../kube/user.ts";
import type { Attributes } from "../rbac/attributes.ts";
import { type AuditRule, decideAudit, DEFAULT_AUDIT_POLICY, parseAuditPolicy } from "./policy.ts";

const jane: UserInfo = { username: "jane", uid: "", groups: ["dev", "system:authenticated"], extra: {} };

function resource(fields: Partial<Extract<Attributes, { kind: "resource" }>> = {}): Attributes {
  const base = { verb: "get", apiGroup: "", apiVersion: "v1", resource: "configmaps", subresource: "", name: "x" };
  return { kind: "resource", ...base, namespace: "default", ...fields };
}

function path(at: string): Attributes {
  return { kind: "path", verb: "get", path: at };
}

function rule(fields: Partial<AuditRule>): AuditRule {
  return { ...DEFAULT_AUDIT_POLICY.rules[0]!, level: "Request", ...fields };
}

const of = (group: string, resources: readonly string[] = [], resourceNames: readonly string[] = []) => ({
  resources: [{ group, resources, resourceNames }],
});

// apiserver/pkg/audit/policy/checker_test.go and checker.go.
for (
  const [what, fields, attributes, isMatch] of [
    ["everything", {}, resource(), true],
    ["a user", { users: ["jane"] }, resource(), true],
    ["another user", { users: ["bob"] }, resource(), false],
    ["one of the groups", { userGroups: ["x", "dev"] }, resource(), true],
    ["no group", { userGroups: ["ops"] }, resource(), false],
    ["a verb", { verbs: ["get"] }, resource(), true],
    ["another verb", { verbs: ["list"] }, resource(), false],
    ["a namespace", { namespaces: ["default"] }, resource(), true],
    ["another namespace", { namespaces: ["kube-system"] }, resource(), false],
    ["no namespace", { namespaces: [""] }, resource({ namespace: "" }), true],
    ["a path among namespaces", { namespaces: ["default"] }, path("/healthz"), false],
    ["a whole group", of(""), resource(), true],
    ["another group", of("apps"), resource(), false],
    ["every group", of("*", ["configmaps"]), resource({ apiGroup: "apps" }), true],
    ["a resource", of("", ["configmaps"]), resource(), true],
    ["a resource without its subresource", of("", ["configmaps"]), resource({ subresource: "status" }), false],
    ["a resource with its subresource", of("", ["configmaps/status"]), resource({ subresource: "status" }), true],
    ["a subresource of every resource", of("", ["*/status"]), resource({ subresource: "status" }), true],
    [
      "a subresource by a pattern for all of a resource",
      of("", ["configmaps/*"]),
      resource({ subresource: "status" }),
      true,
    ],
    ["a resource by a pattern for all of it", of("", ["configmaps/*"]), resource(), true],
    ["every resource", of("", ["*"]), resource({ subresource: "status" }), true],
    ["a name", of("", ["configmaps"], ["x"]), resource(), true],
    ["another name", of("", ["configmaps"], ["y"]), resource(), false],
    ["a path", { nonResourceURLs: ["/healthz"] }, path("/healthz"), true],
    ["a path below", { nonResourceURLs: ["/api*"] }, path("/api/v1"), true],
    ["every path", { nonResourceURLs: ["*"] }, path("/x"), true],
    ["another path", { nonResourceURLs: ["/healthz"] }, path("/healthz/ping"), false],
    ["a resource among paths", { nonResourceURLs: ["*"] }, resource(), false],
  ] as const
) {
  test(`decideAudit() ${isMatch ? "applies" : "skips"} a rule for ${what}`, () => {
    const policy = { ...DEFAULT_AUDIT_POLICY, rules: [rule(fields)] };
    assert.equal(decideAudit(policy, jane, attributes).level, isMatch ? "Request" : "None");
  });
}

test("decideAudit() lets the first rule decide, and has no user for a request without authentication", () => {
  const rules = [rule({ level: "Metadata", users: ["jane"] }), rule({ level: "RequestResponse" })];
  const policy = { ...DEFAULT_AUDIT_POLICY, rules };
  assert.equal(decideAudit(policy, jane, resource()).level, "Metadata");
  assert.equal(decideAudit(policy, undefined, resource()).level, "RequestResponse");
});

test("decideAudit() joins the stages to omit, and lets a rule override the policy for managed fields", () => {
  const policy = {
    omitStages: ["RequestReceived"] as const,
    omitManagedFields: true,
    rules: [rule({ omitStages: ["Panic"], verbs: ["get"], omitManagedFields: false }), rule({})],
  };
  const got = decideAudit(policy, jane, resource());
  assert.deepEqual([...got.omitStages].sort(), ["Panic", "RequestReceived"]);
  assert.equal(got.omitManagedFields, false);
  assert.equal(decideAudit(policy, jane, resource({ verb: "list" })).omitManagedFields, true);
});

for (
  const [group, name, subresource = ""] of [
    ["", "secrets"],
    ["", "serviceaccounts", "token"],
    ["authentication.k8s.io", "tokenreviews"],
    ["tlsboot", "nodeattestations"],
  ] as const
) {
  test(`decideAudit() never records the bodies of ${name}, whatever the policy requests`, () => {
    const policy = { ...DEFAULT_AUDIT_POLICY, rules: [rule({ level: "RequestResponse" })] };
    const decide = (apiGroup: string) =>
      decideAudit(policy, jane, resource({ apiGroup, resource: name, subresource })).level;
    assert.equal(decide(group), "Metadata");
    assert.equal(decide("example.com"), "RequestResponse");
  });
}

const HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";

test("parseAuditPolicy() reads what Kubernetes documents", () => {
  const read = parseAuditPolicy(`${HEAD}metadata: {name: x}
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: RequestResponse
  resources: [{group: certificates.k8s.io, resources: [certificatesigningrequests/approval], resourceNames: [a]}]
  omitManagedFields: false
- level: None
  users: [system:kube-proxy]
  verbs: [watch]
  namespaces: ["", default]
- level: Metadata
  userGroups: [system:authenticated]
  nonResourceURLs: [/api*, "*"]
  omitStages: [Panic]
`);
  assert.ok(read.ok);
  assert.equal(read.value.omitManagedFields, true);
  const [first, second, third] = read.value.rules;
  const resources = ["certificatesigningrequests/approval"];
  assert.deepEqual(first?.resources, [{ group: "certificates.k8s.io", resources, resourceNames: ["a"] }]);
  assert.equal(first?.omitManagedFields, false);
  assert.deepEqual(second?.namespaces, ["", "default"]);
  assert.deepEqual([third?.nonResourceURLs, third?.omitStages], [["/api*", "*"], ["Panic"]]);
});

for (
  const [what, text, fault] of [
    ["another kind", "apiVersion: v1\nkind: List\nrules: [{level: None}]", /apiVersion: must be "audit.k8s.io\/v1"/],
    ["no rules", `${HEAD}rules: []`, /rules: want at least one/],
    ["no level", `${HEAD}rules: [{users: [a]}]`, /rules\[0\]\.level: missing/],
    ["a wrong level", `${HEAD}rules: [{level: Metdata}]`, /rules\[0\]\.level: .*did you mean Metadata/],
    ["a wrong stage", `${HEAD}rules: [{level: None}]\nomitStages: [Request]`, /omitStages\[0\]/],
    ["a misspelt key", `${HEAD}rules: [{level: None, user: [a]}]`, /rules\[0\]\.user: unknown key; did you mean users/],
    [
      "a group with its version",
      `${HEAD}rules: [{level: None, resources: [{group: a/v1}]}]`,
      /group: want a group without/,
    ],
    [
      "namespaces and paths in one rule",
      `${HEAD}rules: [{level: None, namespaces: [a], nonResourceURLs: ["*"]}]`,
      /not both/,
    ],
    [
      "names alone",
      `${HEAD}rules: [{level: None, resources: [{group: "", resourceNames: [a]}]}]`,
      /resourceNames need/,
    ],
    ["a path without slash", `${HEAD}rules: [{level: None, nonResourceURLs: [healthz]}]`, /must begin with "\/"/],
    ["a star in a path", `${HEAD}rules: [{level: None, nonResourceURLs: [/a*/b]}]`, /must be the last/],
  ] as const
) {
  test(`parseAuditPolicy() refuses ${what}`, () => {
    const read = parseAuditPolicy(text);
    assert.ok(!read.ok);
    assert.match(read.error.join("\n"), fault);
  });
}
