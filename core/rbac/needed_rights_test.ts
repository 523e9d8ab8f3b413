import assert from "node:assert/strict";
import { test } from "node:test";
import { createApproverManifest, createApproverRbac } from "../approval/rbac.ts";
import { createSignerManifest, createSignerObjectNames } from "../signing/rbac.ts";
import { describeMissingRights, listNeededRights } from "./needed_rights.ts";

test("listNeededRights() returns what the manifest of a signer grants, and one of several signers is enough", () => {
  const signerNames = ["example.com/a", "example.com/b"];
  const names = createSignerObjectNames(signerNames);
  const rights = listNeededRights(createSignerManifest({ signerNames, names, leaseNamespace: "kube-system" }));
  const listTexts = (wanted: string) => rights.filter(({ need }) => need === wanted).map(({ text }) => text);
  assert.deepEqual(listTexts("essential"), [
    "list certificatesigningrequests.certificates.k8s.io",
    "watch certificatesigningrequests.certificates.k8s.io",
    "update certificatesigningrequests/status.certificates.k8s.io",
    'get leases.coordination.k8s.io "tlsboot-signer.example.com.a.example.com.b" in namespace kube-system',
    'update leases.coordination.k8s.io "tlsboot-signer.example.com.a.example.com.b" in namespace kube-system',
  ]);
  assert.deepEqual(listTexts("oneSigner"), [
    'sign signers.certificates.k8s.io "example.com/a"',
    'sign signers.certificates.k8s.io "example.com/b"',
  ]);
  assert.deepEqual(listTexts("optional"), [
    "get certificatesigningrequests.certificates.k8s.io",
    'get configmaps "extension-apiserver-authentication" in namespace kube-system',
    "create leases.coordination.k8s.io in namespace kube-system",
  ]);
  const second = rights.find(({ text }) => text.includes('"example.com/b"'));
  assert.deepEqual(second?.anyOf.map(({ verb, resource, name }) => [verb, resource, name]), [
    ["sign", "signers", "example.com/b"],
    ["sign", "signers", "example.com/*"],
  ]);
  assert.deepEqual(rights.find(({ text }) => text.startsWith("update certificatesigningrequests"))?.anyOf, [
    { verb: "update", group: "certificates.k8s.io", resource: "certificatesigningrequests", subresource: "status" },
  ]);
});

test("listNeededRights() of an approver in a dry run has nothing to write into requests", () => {
  const needs = { signerNames: ["example.com/a"], nodes: true };
  const rbac = createApproverRbac({ needs, dryRun: true, tokens: false, leaseNamespace: undefined });
  assert.deepEqual(
    listNeededRights(createApproverManifest(rbac)).map(({ text, need }) => `${text} ${need}`),
    [
      "get certificatesigningrequests.certificates.k8s.io optional",
      "list certificatesigningrequests.certificates.k8s.io essential",
      "watch certificatesigningrequests.certificates.k8s.io essential",
      "create subjectaccessreviews.authorization.k8s.io essential",
      "list issuedcertificates.tlsboot optional",
      "watch issuedcertificates.tlsboot optional",
      "list nodes essential",
      "watch nodes essential",
      "create events.events.k8s.io in namespace default optional",
    ],
  );
});

for (
  const { name, lacks, want } of [
    { name: "nothing", lacks: [], want: { texts: [], isFatal: false } },
    {
      name: "one signer of several",
      lacks: ['"example.com/b"'],
      want: { texts: ['sign signers.certificates.k8s.io "example.com/b"'], isFatal: false },
    },
    {
      name: "every signer, which is one text",
      lacks: ['"example.com/a"', '"example.com/b"', "get configmaps"],
      want: {
        texts: [
          'sign signers.certificates.k8s.io "example.com/a" or "example.com/b"',
          'get configmaps "extension-apiserver-authentication" in namespace kube-system',
        ],
        isFatal: true,
      },
    },
    {
      name: "an essential permission",
      lacks: ["watch"],
      want: { texts: ["watch certificatesigningrequests.certificates.k8s.io"], isFatal: true },
    },
  ]
) {
  test(`describeMissingRights() is ${want.isFatal ? "fatal" : "not fatal"} for a controller that lacks ${name}`, () => {
    const signerNames = ["example.com/a", "example.com/b"];
    const names = createSignerObjectNames(signerNames);
    const needed = listNeededRights(createSignerManifest({ signerNames, names, leaseNamespace: undefined }));
    const missing = needed.filter(({ text }) => lacks.some((part) => text.includes(part)));
    assert.deepEqual(describeMissingRights(needed, missing), want);
  });
}
