import assert from "node:assert/strict";
import { test } from "node:test";
import { approverTokenRole, createApproverManifest, listApproverRoles } from "../approval/approver_rbac.ts";
import { bindRole, describeMissingRights, listNeededRights } from "./manifest.ts";
import { createSignerManifest, createSignerObjectNames } from "../signing/signer_rbac.ts";

test("listNeededRights() returns the rights in a signer's manifest, but requires only one of several signers", () => {
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

const SUBMITTED = [
  "get certificatesigningrequests.certificates.k8s.io optional",
  "list certificatesigningrequests.certificates.k8s.io essential",
  "watch certificatesigningrequests.certificates.k8s.io essential",
];
const RECORDED = [
  "create subjectaccessreviews.authorization.k8s.io essential",
  "list issuedcertificates.tlsboot optional",
  "watch issuedcertificates.tlsboot optional",
];

for (
  const { name, options, comment, rights } of [
    {
      name: "in a dry run, which has nothing to write",
      options: { nodes: true, dryRun: true, tokens: true, leaseNamespace: undefined },
      comment: "It reads requests, reads the register of certificates, reads the addresses of nodes, and checks the " +
        "permissions of requesters.",
      rights: [
        ...SUBMITTED,
        ...RECORDED,
        "list nodes essential",
        "watch nodes essential",
        "create events.events.k8s.io in namespace default optional",
        "get secrets in namespace kube-system essential",
      ],
    },
    {
      name: "that decides, without tokens and nodes",
      options: { nodes: false, dryRun: false, tokens: false, leaseNamespace: "leases" },
      comment:
        "It reads requests, approves or denies those of some signers, reads the register of certificates, and checks " +
        "the permissions of requesters.",
      rights: [
        ...SUBMITTED,
        "update certificatesigningrequests/approval.certificates.k8s.io essential",
        'approve signers.certificates.k8s.io "example.com/a" oneSigner',
        ...RECORDED,
        "create events.events.k8s.io in namespace default optional",
        "create configmaps in namespace kube-system optional",
        'get configmaps "tlsboot-approver" in namespace kube-system optional',
        'update configmaps "tlsboot-approver" in namespace kube-system optional',
        "create leases.coordination.k8s.io in namespace leases optional",
        'get leases.coordination.k8s.io "tlsboot-approver" in namespace leases essential',
        'update leases.coordination.k8s.io "tlsboot-approver" in namespace leases essential',
      ],
    },
  ]
) {
  test(`listNeededRights() of an approver ${name}`, () => {
    const { nodes, ...rest } = options;
    const approver = { needs: { signerNames: ["example.com/a"], nodes }, ...rest };
    const manifest = createApproverManifest(approver);
    const [clusterRole, ...roles] = listApproverRoles(approver);
    assert.deepEqual(listNeededRights(manifest).map(({ text, need }) => `${text} ${need}`), rights);
    assert.equal(clusterRole.comment, comment);
    const bound = manifest.filter(({ object }) => object.kind === "RoleBinding").map(({ object }) => object.metadata);
    assert.deepEqual(bound, roles.map(({ object }) => object.metadata));
  });
}

test("approverTokenRole() lets a token be bound to its key", () => {
  const { object: role } = approverTokenRole(false);
  const roleBinding = bindRole(role, { kind: "User", name: "a" });
  assert.deepEqual(role.rules, [{ verbs: ["get", "update"], apiGroups: [""], resources: ["secrets"] }]);
  assert.equal(roleBinding.roleRef.name, role.metadata.name);
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
