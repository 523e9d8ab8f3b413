import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAuditPolicy } from "./policy_file.ts";

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
    ["both worlds", `${HEAD}rules: [{level: None, namespaces: [a], nonResourceURLs: ["*"]}]`, /not both/],
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
