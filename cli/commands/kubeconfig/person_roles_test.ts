import assert from "node:assert/strict";
import { test } from "node:test";
import { rulesAllow } from "../../../core/rbac/evaluate.ts";
import { PERSON_ROLES } from "./flags.ts";
import { createPersonRole, createTokenRole, describePersonRole } from "./person_roles.ts";

const CUSTOM = "example.com/web";
const REQUESTS = "certificatesigningrequests";

for (
  const { verb, group, resource, subresource = "", name = "", from } of [
    { verb: "list", group: "certificates.k8s.io", resource: REQUESTS, from: "viewer" },
    { verb: "watch", group: "tlsboot", resource: "issuedcertificates", from: "viewer" },
    { verb: "list", group: "", resource: "nodes", from: "viewer" },
    { verb: "get", group: "", resource: "configmaps", name: "tlsboot-approver", from: "viewer" },
    { verb: "get", group: "", resource: "configmaps", name: "other", from: undefined },
    { verb: "update", group: "certificates.k8s.io", resource: REQUESTS, subresource: "approval", from: "approver" },
    { verb: "approve", group: "certificates.k8s.io", resource: "signers", name: CUSTOM, from: "approver" },
    {
      verb: "approve",
      group: "certificates.k8s.io",
      resource: "signers",
      name: "kubernetes.io/kubelet-serving",
      from: "approver",
    },
    { verb: "approve", group: "certificates.k8s.io", resource: "signers", name: "example.com/other", from: undefined },
    { verb: "sign", group: "certificates.k8s.io", resource: "signers", name: CUSTOM, from: undefined },
    { verb: "update", group: "certificates.k8s.io", resource: REQUESTS, subresource: "status", from: undefined },
    { verb: "create", group: "certificates.k8s.io", resource: REQUESTS, from: undefined },
    { verb: "delete", group: "certificates.k8s.io", resource: REQUESTS, from: "operator" },
    { verb: "create", group: "tlsboot", resource: "revocations", from: "operator" },
    { verb: "update", group: "tlsboot", resource: "carotations", from: undefined },
    // A Role gives an operator the Secrets of one namespace.
    { verb: "list", group: "", resource: "secrets", from: undefined },
    { verb: "impersonate", group: "", resource: "users", from: undefined },
    { verb: "create", group: "rbac.authorization.k8s.io", resource: "clusterrolebindings", from: undefined },
  ] as const
) {
  const what = `${verb} ${[resource, subresource].join("/").replace(/\/$/, "")} ${name}`.trim();
  test(`createPersonRole() lets ${from === undefined ? "no one" : `${from}s and higher`} ${what}`, () => {
    const first = from === undefined ? PERSON_ROLES.length : PERSON_ROLES.indexOf(from);
    for (const [index, role] of PERSON_ROLES.entries()) {
      const { rules } = createPersonRole(role, [CUSTOM]);
      const at = { apiGroup: group, apiVersion: "", resource, subresource, name, namespace: "" };
      assert.equal(rulesAllow({ kind: "resource", verb, ...at }, rules ?? []), index >= first, role);
    }
  });
}

test("describePersonRole() says that an operator may use Secrets, and that the other roles may not", () => {
  assert.equal(createTokenRole().metadata.namespace, "kube-system");
  for (const role of ["viewer", "approver"] as const) assert.match(describePersonRole(role, []).join(), /no Secrets/);
  const text = describePersonRole("operator", [CUSTOM]).join();
  assert.doesNotMatch(text, /no Secrets/);
  assert.match(text, /every Secret in kube-system/);
  assert.match(text, /example\.com\/web/);
});
