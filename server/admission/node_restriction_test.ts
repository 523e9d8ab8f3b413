import assert from "node:assert/strict";
import { test } from "node:test";
import {
  certificateSigningRequestKind,
  configMapKind,
  csiNodeKind,
  leaseKind,
  nodeKind,
  podCertificateRequestKind,
  serviceAccountKind,
} from "../../core/kube/kinds/mod.ts";
import type { PodCertificateRequestSpec } from "../../core/kube/kinds/certificates_v1.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { StatusError } from "../../core/kube/status/status.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import { testUser } from "../../tests/support/test_rbac.ts";
import { buildPodRequest } from "../../tests/support/pod_request_builder.ts";
import { buildCsr } from "../../tests/support/csr_builder.ts";
import { creation, deletion, mutateWith, update, validateWith } from "../../tests/support/admission_requests.ts";
import type { Storage } from "../storage/storage.ts";
import type { AdmissionRequest, MutatingRequest } from "../registry/registry.ts";
import { createNodeRestriction, findForbiddenLabels } from "./node_restriction.ts";

const mynode = testUser("system:node:mynode", "system:nodes", "system:authenticated");

/** The plugin on an empty storage, with an authorizer that allows nothing. */
const nodeRestriction = createNodeRestriction({
  authorizer: { authorize: () => Promise.resolve({ kind: "noOpinion", reason: "" }) },
  storage: { get: () => Promise.resolve(undefined) },
});

async function findRefusal(request: MutatingRequest): Promise<string | undefined> {
  const answer = await mutateWith(nodeRestriction, request);
  return "message" in answer ? answer.message : undefined;
}

for (
  const { name, user = mynode, signerName, commonName, request, want } of [
    {
      name: "its own client certificate",
      signerName: "kubernetes.io/kube-apiserver-client-kubelet",
      commonName: "system:node:mynode",
    },
    {
      name: "its own serving certificate",
      signerName: "kubernetes.io/kubelet-serving",
      commonName: "system:node:mynode",
    },
    {
      name: "another node's client certificate",
      signerName: "kubernetes.io/kube-apiserver-client-kubelet",
      commonName: "system:node:other",
      want: "can only create a node CSR with CN=system:node:mynode",
    },
    {
      name: "another node's serving certificate",
      signerName: "kubernetes.io/kubelet-serving",
      commonName: "system:node:mynode2",
      want: "can only create a node CSR with CN=system:node:mynode",
    },
    { name: "another signer", signerName: "example.com/a", commonName: "system:node:other" },
    {
      name: "by a bootstrap user",
      user: testUser("system:bootstrap:abcdef", "system:bootstrappers"),
      signerName: "kubernetes.io/kube-apiserver-client-kubelet",
      commonName: "system:node:other",
    },
    {
      name: "by the name of a node without its group",
      user: testUser("system:node:mynode"),
      signerName: "kubernetes.io/kubelet-serving",
      commonName: "system:node:other",
    },
    {
      name: "a request that cannot be read",
      signerName: "kubernetes.io/kubelet-serving",
      commonName: "",
      request: "eA==",
      want: "unable to parse csr: PEM block type must be CERTIFICATE REQUEST",
    },
  ] as readonly {
    name: string;
    user?: UserInfo;
    signerName: string;
    commonName: string;
    request?: string;
    want?: string;
  }[]
) {
  test(`nodeRestriction ${want === undefined ? "passes" : "refuses"} a CSR: ${name}`, async () => {
    const csr = await buildCsr({ signerName, commonName, ...(request === undefined ? {} : { request }) });
    assert.equal(await findRefusal(creation(csr, { kind: certificateSigningRequestKind, user })), want);
  });
}

const node = (name: string, edit: { labels?: Record<string, string>; spec?: object } = {}): KubeObject => {
  const object = {
    metadata: { name, ...(edit.labels === undefined ? {} : { labels: edit.labels }) },
    spec: edit.spec ?? {},
  };
  return object;
};
const lease = (name: string, namespace = "kube-node-lease"): KubeObject => ({ metadata: { name, namespace } });
const asNode = (edit: Partial<AdmissionRequest>): Partial<AdmissionRequest> => ({ user: mynode, ...edit });
const nodes = asNode({ kind: nodeKind });
const OTHER = 'node "mynode" is not allowed to modify node "other"';

for (
  const { name, request, want } of [
    { name: "its node", request: creation(node("mynode"), nodes) },
    { name: "another node", request: creation(node("other"), nodes), want: OTHER },
    { name: "another node's update", request: update(node("other"), node("other"), nodes), want: OTHER },
    {
      name: "another node's status",
      request: update(node("other"), node("other"), { ...nodes, subresource: "status" }),
      want: OTHER,
    },
    {
      name: "a config source",
      request: creation(node("mynode", { spec: { configSource: {} } }), nodes),
      want: 'node "mynode" is not allowed to create pods with a non-nil configSource',
    },
    {
      name: "labels of its own",
      request: creation(
        node("mynode", { labels: { "kubernetes.io/hostname": "h", "x.node.kubernetes.io/a": "", a: "" } }),
        nodes,
      ),
    },
    {
      name: "labels that affect scheduling",
      request: creation(
        node("mynode", { labels: { "node-restriction.kubernetes.io/b": "", "node-role.kubernetes.io/a": "" } }),
        nodes,
      ),
      want:
        'node "mynode" is not allowed to set the following labels: node-restriction.kubernetes.io/b, node-role.kubernetes.io/a',
    },
    {
      name: "taints at creation",
      request: creation(node("mynode", { spec: { taints: [{ key: "k", effect: "NoSchedule" }] } }), nodes),
    },
    {
      name: "its taints",
      request: update(node("mynode"), node("mynode", { spec: { taints: [{ key: "k" }] } }), nodes),
      want: 'node "mynode" is not allowed to modify taints',
    },
    {
      name: "the removal of a label",
      request: update(node("mynode", { labels: { "node-role.kubernetes.io/a": "" } }), node("mynode"), nodes),
      want: "is not allowed to modify labels: node-role.kubernetes.io/a",
    },
    {
      name: "a foreign label that stays",
      request: update(
        node("mynode", { labels: { "k8s.io/a": "1" } }),
        node("mynode", { labels: { "k8s.io/a": "1" } }),
        nodes,
      ),
    },
    { name: "a node without a spec", request: creation({ metadata: { name: "mynode" } }, nodes) },
    {
      name: "a new config source",
      request: update(node("mynode"), node("mynode", { spec: { configSource: {} } }), nodes),
      want: 'node "mynode" is not allowed to update configSource to a new non-nil configSource',
    },
    {
      name: "a config source that stays",
      request: update(
        node("mynode", { spec: { configSource: {} } }),
        node("mynode", { spec: { configSource: {} } }),
        nodes,
      ),
    },
    {
      name: "the removal of a config source",
      request: update(node("mynode", { spec: { configSource: {} } }), node("mynode"), nodes),
    },
    {
      name: "an owner of its node",
      request: update(node("mynode"), {
        metadata: { name: "mynode", ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "p", uid: "u" }] },
      }, nodes),
      want: 'node "mynode" is not allowed to modify ownerReferences',
    },
    {
      name: "a first label",
      request: update(node("mynode"), node("mynode", { labels: { a: "1" } }), nodes),
    },
    {
      name: "a lease whose name is not in the URL of its creation",
      request: creation(lease("mynode"), asNode({ kind: leaseKind, name: "" })),
    },
    {
      name: "a lease of another name than in the URL",
      request: update(lease("mynode"), lease("mynode"), asNode({ kind: leaseKind, name: "other" })),
      want: "can only access node lease with the same name as the requesting node",
    },
    { name: "its service account", request: creation(lease("a", "team"), asNode({ kind: serviceAccountKind })) },
    {
      name: "an update of a token",
      request: update(
        lease("a", "team"),
        lease("a", "team"),
        asNode({ kind: serviceAccountKind, subresource: "token" }),
      ),
    },
    { name: "its lease", request: creation(lease("mynode"), asNode({ kind: leaseKind })) },
    {
      name: "another lease",
      request: creation(lease("other"), asNode({ kind: leaseKind })),
      want: "can only access node lease with the same name as the requesting node",
    },
    {
      name: "a lease in another namespace",
      request: update(lease("mynode", "default"), lease("mynode", "default"), asNode({ kind: leaseKind })),
      want: 'can only access leases in the "kube-node-lease" system namespace',
    },
    { name: "its CSINode", request: creation(node("mynode"), asNode({ kind: csiNodeKind })) },
    {
      name: "another CSINode",
      request: update(node("other"), node("other"), asNode({ kind: csiNodeKind })),
      want: "can only access CSINode with the same name as the requesting node",
    },
    {
      name: "a kind that no rule restricts",
      request: creation(lease("x", "default"), asNode({ kind: configMapKind })),
    },
    {
      name: "anything by a node without a name",
      request: creation(lease("x", "default"), { kind: configMapKind, user: testUser("system:node:", "system:nodes") }),
      want: 'could not determine node from user "system:node:"',
    },
    { name: "another node, by an administrator", request: creation(node("other"), { kind: nodeKind }) },
  ] as readonly { name: string; request: MutatingRequest; want?: string }[]
) {
  test(`nodeRestriction ${want === undefined ? "passes" : "refuses"}: ${name}`, async () => {
    assert.equal(await findRefusal(request), want);
  });
}

test("nodeRestriction checks only creations of CSRs, because a node may not change them", async () => {
  const csr = await buildCsr({ commonName: "system:node:other" });
  assert.equal(await findRefusal(update(csr, csr, asNode({}))), undefined);
});

for (
  const { name, ref, want } of [
    { name: "no object", ref: undefined, want: "node requested token not bound to a pod" },
    {
      name: "a Secret",
      ref: { apiVersion: "v1", kind: "Secret", name: "web-1", uid: "u" },
      want: "node requested token not bound to a pod",
    },
    {
      name: "a pod of another version",
      ref: { apiVersion: "v2", kind: "Pod", name: "web-1", uid: "u" },
      want: "node requested token not bound to a pod",
    },
    {
      name: "a pod without its uid",
      ref: { apiVersion: "v1", kind: "Pod", name: "web-1" },
      want: "node requested token with a pod binding without a uid",
    },
    {
      name: "a pod",
      ref: { apiVersion: "v1", kind: "Pod", name: "web-1", uid: "uid-of-pod" },
      want: "node must request the tokens of its pods from the API server that serves the pods",
    },
  ]
) {
  test(`nodeRestriction refuses a token that is bound to ${name}`, async () => {
    const plugin = createNodeRestriction({ authorizer: { authorize: () => assert.fail() }, storage: STORE });
    const request: KubeObject = { metadata: { name: "web", namespace: "team" }, spec: { boundObjectRef: ref } } as
      & object
      & KubeObject;
    const edit = asNode({ kind: serviceAccountKind, subresource: "token" });
    assert.deepEqual(await mutateWith(plugin, creation(request, edit)), { message: want });
  });
}

test("nodeRestriction answers 404 for a token that is bound to a missing pod", async () => {
  const boundObjectRef = { apiVersion: "v1", kind: "Pod", name: "gone", uid: "u" };
  const request = { metadata: { name: "web", namespace: "team" }, spec: { boundObjectRef } };
  await assert.rejects(
    async () => await findRefusal(creation(request, asNode({ kind: serviceAccountKind, subresource: "token" }))),
    { message: 'pod "gone" not found' },
  );
});

test("nodeRestriction checks deletions in the validating phase", async () => {
  assert.equal(await validateWith(nodeRestriction, deletion(node("mynode"), nodes)), undefined);
  assert.equal(await validateWith(nodeRestriction, update(node("other"), node("other"), nodes)), undefined);
  assert.equal(await validateWith(nodeRestriction, deletion(lease("mynode"), asNode({ kind: leaseKind }))), undefined);
  assert.deepEqual(await validateWith(nodeRestriction, deletion(lease("other"), asNode({ kind: leaseKind }))), {
    message: "can only access node lease with the same name as the requesting node",
  });
});

for (
  const { label, isForbidden } of [
    { label: "a", isForbidden: false },
    { label: "kubernetes.iox", isForbidden: false },
    { label: "example.com/a", isForbidden: false },
    { label: "mykubernetes.io/a", isForbidden: false },
    { label: "kubernetes.io/arch", isForbidden: false },
    { label: "kubernetes.io/other", isForbidden: true },
    { label: "sub.k8s.io/a", isForbidden: true },
    { label: "kubelet.kubernetes.io/a", isForbidden: false },
    { label: "node.kubernetes.io/a", isForbidden: false },
    { label: "sub.node-restriction.kubernetes.io/a", isForbidden: true },
  ]
) {
  test(`findForbiddenLabels() ${isForbidden ? "forbids" : "permits"} ${label}`, () => {
    assert.equal(findForbiddenLabels({ [label]: "x" }, {}).length > 0, isForbidden);
  });
}

/** The keys and objects of a node, and of a pod that runs on it and mounts a certificate of example.com/pods. */
const STORED: Readonly<Record<string, object>> = {
  "/registry/minions/mynode": { metadata: { uid: "uid-of-node" } },
  "/registry/serviceaccounts/team/web": { metadata: { uid: "uid-of-account" } },
  "/registry/pods/team/web-1": {
    metadata: { uid: "uid-of-pod" },
    spec: {
      nodeName: "mynode",
      serviceAccountName: "web",
      volumes: [{ projected: { sources: [{ podCertificate: { signerName: "example.com/pods" } }] } }],
    },
  },
  // A pod that cannot be decoded counts as missing.
  "/registry/pods/team/unreadable": { metadata: {} },
};

const STORE: Pick<Storage, "get"> = {
  get(key) {
    const object = STORED[key] as KubeObject | undefined;
    return Promise.resolve(object && { key, revision: 1, object, bytes: new Uint8Array(), size: 0 });
  },
};

for (
  const { name, edit = {}, request = creation, want } of [
    { name: "for a pod of the node" },
    {
      name: "of another signer, which the node may request",
      edit: { signerName: "example.com/allowed" },
    },
    {
      name: "of another signer",
      edit: { signerName: "example.com/other" },
      want: {
        message: 'pod "team/web-1" does not mount a podCertificate projected volume for signer "example.com/other"',
      },
    },
    {
      name: "for another node",
      edit: { nodeName: "other" },
      want: {
        message: 'PodCertificateRequest.Spec.NodeName="other", which is not the requesting node "mynode"',
      },
    },
    {
      name: "for a pod that cannot be read",
      edit: { podName: "unreadable", podUID: "" },
      want: {
        code: 500,
        message:
          'while retrieving pod "team/unreadable" named in the PodCertificateRequest: pod "unreadable" not found',
      },
    },
    {
      name: "that exists",
      request: (object: KubeObject, edit: Partial<AdmissionRequest>) => update(object, object, edit),
      want: { message: "unexpected operation UPDATE" },
    },
    {
      name: "in its status",
      request: (object: KubeObject, edit: Partial<AdmissionRequest>) =>
        creation(object, { ...edit, subresource: "status" }),
      want: { message: "unexpected subresource status" },
    },
  ] as readonly {
    readonly name: string;
    readonly edit?: Partial<PodCertificateRequestSpec>;
    readonly request?: typeof creation;
    readonly want?: { readonly message: string; readonly code?: number };
  }[]
) {
  test(`nodeRestriction ${want === undefined ? "passes" : "refuses"} a request for a pod certificate: ${name}`, async () => {
    const asked: unknown[] = [];
    const plugin = createNodeRestriction({
      authorizer: {
        authorize(_user, attributes) {
          asked.push(attributes);
          const isAllowed = attributes.kind === "resource" && attributes.resource === "example.com:allowed";
          return Promise.resolve({ kind: isAllowed ? "allow" : "noOpinion", reason: "" });
        },
      },
      storage: STORE,
    });
    const object = await buildPodRequest({ nodeName: "mynode", ...edit });
    const answer = mutateWith(plugin, request(object, asNode({ kind: podCertificateRequestKind })));
    if (want?.code !== undefined) {
      await assert.rejects(async () => await answer, (error: StatusError) => {
        assert.deepEqual([error.status.code, error.status.message], [want.code, want.message]);
        return true;
      });
      return;
    }
    const refusal = want === undefined ? { object } : { message: want.message };
    assert.deepEqual(await answer, refusal);
    const wanted = edit.signerName === undefined ? [] : [{
      kind: "resource",
      verb: "request-serviceaccounts-podcertificate-signer",
      apiGroup: "certificates.k8s.io",
      apiVersion: "v1",
      resource: edit.signerName.replace("/", ":"),
      subresource: "",
      name: "web",
      namespace: "team",
    }];
    assert.deepEqual(asked, wanted);
  });
}
