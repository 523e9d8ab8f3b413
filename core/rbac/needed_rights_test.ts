import assert from "node:assert/strict";
import { test } from "node:test";
import { createApproverManifest, createApproverRbac } from "../approval/rbac.ts";
import { createSignerManifest, createSignerObjectNames } from "../signing/rbac.ts";
import { listNeededRights } from "./needed_rights.ts";

test("listNeededRights() asks for what the manifest of a signer grants, one signer of several being enough", () => {
  const signerNames = ["example.com/a", "example.com/b"];
  const names = createSignerObjectNames(signerNames);
  const rights = listNeededRights(createSignerManifest({ signerNames, names, leaseNamespace: "kube-system" }));
  assert.deepEqual(rights.filter(({ isEssential }) => isEssential).map(({ text }) => text), [
    "list certificatesigningrequests.certificates.k8s.io",
    "watch certificatesigningrequests.certificates.k8s.io",
    "update certificatesigningrequests/status.certificates.k8s.io",
    'sign signers.certificates.k8s.io "example.com/a" or "example.com/b"',
    'get leases.coordination.k8s.io "tlsboot-signer.example.com.a.example.com.b" in namespace kube-system',
    'update leases.coordination.k8s.io "tlsboot-signer.example.com.a.example.com.b" in namespace kube-system',
  ]);
  assert.deepEqual(rights.filter(({ isEssential }) => !isEssential).map(({ text }) => text), [
    "get certificatesigningrequests.certificates.k8s.io",
    'sign signers.certificates.k8s.io "example.com/a"',
    'sign signers.certificates.k8s.io "example.com/b"',
    'get configmaps "extension-apiserver-authentication" in namespace kube-system',
    "create leases.coordination.k8s.io in namespace kube-system",
  ]);
  const both = rights.find(({ text }) => text.includes(" or "));
  assert.deepEqual(both?.anyOf.map(({ verb, resource, name }) => [verb, resource, name]), [
    ["sign", "signers", "example.com/a"],
    ["sign", "signers", "example.com/*"],
    ["sign", "signers", "example.com/b"],
    ["sign", "signers", "example.com/*"],
  ]);
  assert.deepEqual(rights.find(({ text }) => text.startsWith("update certificatesigningrequests"))?.anyOf, [
    { verb: "update", group: "certificates.k8s.io", resource: "certificatesigningrequests", subresource: "status" },
  ]);
});

test("listNeededRights() of an approver in a dry run has nothing to write into requests", () => {
  const needs = { signerNames: ["example.com/a"], nodes: true };
  const rbac = createApproverRbac({ needs, events: true, dryRun: true, leaseNamespace: undefined });
  assert.deepEqual(
    listNeededRights(createApproverManifest(rbac)).map(({ text, isEssential }) => `${text} ${isEssential}`),
    [
      "get certificatesigningrequests.certificates.k8s.io false",
      "list certificatesigningrequests.certificates.k8s.io true",
      "watch certificatesigningrequests.certificates.k8s.io true",
      "create subjectaccessreviews.authorization.k8s.io true",
      "list nodes true",
      "watch nodes true",
      "create events.events.k8s.io in namespace default false",
    ],
  );
});
