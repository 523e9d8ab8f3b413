import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigMap } from "../kube/kinds/core_v1.ts";
import { createClusterInfoRbac, encodeClusterInfo, isLoopbackServer, planClusterInfo } from "./cluster_info.ts";

const CA = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const CLUSTER = { server: "https://192.0.2.1:6443", caPem: CA };

function published(kubeconfig: string): ConfigMap {
  return {
    metadata: { name: "cluster-info", namespace: "kube-public", resourceVersion: "7" },
    data: { kubeconfig, "jws-kubeconfig-abcdef": "signature" },
  };
}

test("encodeClusterInfo() matches kubeadm: one unnamed cluster without credentials", () => {
  const data = Buffer.from(CA).toString("base64");
  assert.equal(
    encodeClusterInfo(CLUSTER),
    `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: ${data}
    server: https://192.0.2.1:6443
  name: ""
contexts: null
current-context: ""
kind: Config
users: null
`,
  );
});

for (
  const { name, existing, want } of [
    { name: "nothing is published", existing: undefined, want: "create" },
    { name: "it is right", existing: published(encodeClusterInfo(CLUSTER)), want: "none" },
    {
      name: "it names this machine only",
      existing: published(encodeClusterInfo({ ...CLUSTER, server: "https://127.0.0.1:6443" })),
      want: "update",
    },
    {
      name: "it names a load balancer",
      existing: published(encodeClusterInfo({ ...CLUSTER, server: "https://lb.example:443" })),
      want: "foreign",
    },
    {
      name: "it has another CA",
      existing: published(encodeClusterInfo({ ...CLUSTER, caPem: CA.replace("AA", "BB") })),
      want: "update",
    },
    {
      name: "its CA is one of two now",
      existing: published(encodeClusterInfo({ ...CLUSTER, caPem: CA.replace("AA", "BB") + CA })),
      want: "update",
    },
    { name: "it is not a kubeconfig", existing: published("nothing: [of that"), want: "update" },
    { name: "it is empty", existing: { metadata: { name: "cluster-info" } }, want: "update" },
  ] as const
) {
  test(`planClusterInfo() is ${want} when ${name}`, () => {
    assert.equal(planClusterInfo(existing, CLUSTER).kind, want);
  });
}

for (
  const [name, existing, want] of [
    ["nothing is published", undefined, "create"],
    ["the same is published", published(encodeClusterInfo(CLUSTER)), "none"],
    [
      "the first server is published",
      published(encodeClusterInfo({ ...CLUSTER, server: "https://[::1]:1" })),
      "foreign",
    ],
    [
      "another CA is published",
      published(encodeClusterInfo({ ...CLUSTER, caPem: CA.replace("AA", "BB") })),
      "otherCa",
    ],
    [
      "one of two CAs is published",
      published(encodeClusterInfo({ ...CLUSTER, caPem: CA.replace("AA", "BB") + CA })),
      "update",
    ],
    ["it is no kubeconfig", published("nothing: [of that"), "update"],
  ] as const
) {
  test(`planClusterInfo() of several servers is ${want} when ${name}`, () => {
    assert.equal(planClusterInfo(existing, CLUSTER, { isShared: true }).kind, want);
  });
}

test("planClusterInfo() keeps the other keys of the map that it corrects", () => {
  const plan = planClusterInfo(published("x"), CLUSTER);
  assert.ok(plan.kind === "update");
  assert.equal(plan.configMap.metadata.resourceVersion, "7");
  assert.equal(plan.configMap.data?.["jws-kubeconfig-abcdef"], "signature");
  assert.equal(plan.configMap.data?.["kubeconfig"], encodeClusterInfo(CLUSTER));
});

test("createClusterInfoRbac() lets anonymous get cluster-info and nothing else", () => {
  const { role, roleBinding } = createClusterInfoRbac();
  assert.deepEqual(role.rules, [
    { verbs: ["get"], apiGroups: [""], resources: ["configmaps"], resourceNames: ["cluster-info"] },
  ]);
  assert.deepEqual(roleBinding.subjects?.map(({ kind, name }) => `${kind} ${name}`), ["User system:anonymous"]);
  assert.equal(roleBinding.roleRef.name, role.metadata.name);
});

test("planClusterInfo() keeps the address of a load balancer when the CA is replaced", () => {
  const caPem = CA + CA.replace("AA", "BB");
  const plan = planClusterInfo(published(encodeClusterInfo({ ...CLUSTER, server: "https://lb.example:443" })), {
    ...CLUSTER,
    caPem,
  });
  assert.ok(plan.kind === "update");
  assert.equal(plan.configMap.data?.["kubeconfig"], encodeClusterInfo({ server: "https://lb.example:443", caPem }));
});

for (
  const { server, want } of [
    { server: "https://127.0.0.1:6443", want: true },
    { server: "https://localhost:6443", want: true },
    { server: "https://[::1]:6443", want: true },
    { server: "https://[::ffff:127.0.0.1]:6443", want: true },
    { server: "https://0.0.0.0:6443", want: true },
    { server: "https://[::]:6443", want: true },
    { server: "https://0.1.2.3:6443", want: true },
    { server: "https://n1.localhost:6443", want: true },
    { server: "https://169.254.10.1:6443", want: false },
    { server: "https://192.0.2.2:6443", want: false },
    { server: "https://boot.example.com:6443", want: false },
  ]
) {
  test(`isLoopbackServer() is ${want} for ${server}`, () => assert.equal(isLoopbackServer(server), want));
}
