// Carries `pkg/controller/certificates/approver/sarapprove_test.go`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { planApproval } from "./plan_approval.ts";

const own: CsrOptions = { username: "system:node:n1" };

for (
  const { name, edit, want } of [
    { name: "a bootstrap user's request", edit: {}, want: ["nodeclient"] },
    { name: "a node's request for itself", edit: own, want: ["selfnodeclient", "nodeclient"] },
    {
      name: "three usages",
      edit: { ...own, usages: ["key encipherment", "digital signature", "client auth"] },
      want: ["selfnodeclient", "nodeclient"],
    },
    {
      name: "a node's request for another node",
      edit: { username: "system:node:n2" },
      want: ["nodeclient"],
    },
    { name: "common name mike", edit: { ...own, commonName: "mike" }, want: [] },
    { name: "no organization", edit: { ...own, organizations: [] }, want: [] },
    { name: "organization system:master", edit: { ...own, organizations: ["system:master"] }, want: [] },
    {
      name: "usage server auth too",
      edit: { ...own, usages: ["key encipherment", "digital signature", "client auth", "server auth"] },
      want: [],
    },
    { name: "a SAN", edit: { ...own, dnsNames: ["a"] }, want: [] },
    { name: "signer kube-apiserver-client", edit: { signerName: "kubernetes.io/kube-apiserver-client" }, want: [] },
    { name: "signer kubelet-serving", edit: { signerName: "kubernetes.io/kubelet-serving" }, want: [] },
    { name: "already Denied", edit: { conditions: [condition("Denied")] }, want: [] },
    { name: "already Approved", edit: { conditions: [condition("Approved")] }, want: [] },
    { name: "a certificate", edit: { certificate: "eA==" }, want: [] },
  ]
) {
  test(`planApproval() requests ${want.join(" and ") || "nothing"}: ${name}`, async () => {
    const plan = planApproval(await buildCsr(edit));
    assert.equal(plan.kind, want.length === 0 ? "ignore" : "review");
    if (plan.kind === "review") assert.deepEqual(plan.attempts.map((attempt) => attempt.permission), want);
  });
}

test("planApproval() reviews in the requester's name, with upstream's texts", async () => {
  const csr = await buildCsr({ ...own, groups: ["system:nodes", "system:authenticated"] });
  const plan = planApproval({ ...csr, spec: { ...csr.spec, uid: "7", extra: { k: ["v"] } } });
  assert.ok(plan.kind === "review");
  assert.deepEqual(plan.attempts[0], {
    permission: "selfnodeclient",
    message: "Auto approving self kubelet client certificate after SubjectAccessReview.",
    review: {
      resourceAttributes: {
        verb: "create",
        group: "certificates.k8s.io",
        version: "*",
        resource: "certificatesigningrequests",
        subresource: "selfnodeclient",
      },
      user: "system:node:n1",
      groups: ["system:nodes", "system:authenticated"],
      extra: { k: ["v"] },
      uid: "7",
    },
  });
  assert.equal(
    plan.attempts[1]?.message,
    "Auto approving kubelet client certificate after SubjectAccessReview.",
  );
  assert.equal(
    plan.refusal,
    'recognized csr "csr-1" as [selfnodeclient nodeclient] but subject access review was not approved',
  );
});

test("planApproval() reviews nothing of a requester that the request lacks", async () => {
  const csr = await buildCsr({ username: "", groups: [] });
  const plan = planApproval(csr);
  assert.ok(plan.kind === "review");
  assert.deepEqual(plan.attempts.map(({ review }) => Object.keys(review)), [["resourceAttributes"]]);
  const { usages: _usages, ...spec } = csr.spec;
  assert.deepEqual(planApproval({ ...csr, spec }), { kind: "ignore" });
});

test("planApproval() reports a malformed request", async () => {
  assert.deepEqual(planApproval(await buildCsr({ request: null })), {
    kind: "unreadable",
    message: 'unable to parse csr "csr-1": PEM block type must be CERTIFICATE REQUEST',
  });
});
