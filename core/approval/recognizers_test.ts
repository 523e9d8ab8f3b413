// Carries `pkg/controller/certificates/approver/sarapprove_test.go`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildCsr, condition, type CsrOptions } from "../../tests/support/csr_builder.ts";
import { parseRequest } from "../request/parse_request.ts";
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { createAccessReviewSpec, isSettled, RECOGNIZERS } from "./recognizers.ts";

const own: CsrOptions = { username: "system:node:n1" };

function listRecognized(csr: CertificateSigningRequest): readonly string[] {
  const facts = parseRequest(csr.spec.request);
  assert.ok(facts.ok);
  return RECOGNIZERS.filter(({ recognizes }) => recognizes(csr, facts.value)).map(({ permission }) => permission);
}

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
  ]
) {
  test(`RECOGNIZERS recognize by ${want.join(" and ") || "nothing"}: ${name}`, async () => {
    assert.deepEqual(listRecognized(await buildCsr(edit)), want);
  });
}

test("RECOGNIZERS recognize no request without usages", async () => {
  const csr = await buildCsr(own);
  const { usages: _usages, ...spec } = csr.spec;
  assert.deepEqual(listRecognized({ ...csr, spec }), []);
});

test("isSettled() reports a decision or a certificate", async () => {
  for (
    const edit of [{ conditions: [condition("Denied")] }, { conditions: [condition("Approved")] }, {
      certificate: "eA==",
    }]
  ) {
    assert.ok(isSettled(await buildCsr(edit)));
  }
  assert.ok(!isSettled(await buildCsr({ conditions: [condition("Failed")] })));
});

test("createAccessReviewSpec() is for the requester, and omits fields that the requester does not have", async () => {
  const csr = await buildCsr({ ...own, groups: ["system:nodes", "system:authenticated"] });
  const resourceAttributes = {
    verb: "create",
    group: "certificates.k8s.io",
    version: "*",
    resource: "certificatesigningrequests",
    subresource: "selfnodeclient",
  };
  assert.deepEqual(
    createAccessReviewSpec({ ...csr, spec: { ...csr.spec, uid: "7", extra: { k: ["v"] } } }, "selfnodeclient"),
    {
      resourceAttributes,
      user: "system:node:n1",
      groups: ["system:nodes", "system:authenticated"],
      extra: { k: ["v"] },
      uid: "7",
    },
  );
  const { username: _user, groups: _groups, ...bare } = csr.spec;
  assert.deepEqual(createAccessReviewSpec({ ...csr, spec: bare }, "selfnodeclient"), { resourceAttributes });
});
