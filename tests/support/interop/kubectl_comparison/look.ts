/** kubectl commands that query the server and the rights of users. */
import type { Script } from "./comparison.ts";

const FIELDS = [
  "csr",
  "csr.spec",
  "csr.spec.signerName",
  "csr.spec.usages",
  "csr.status.conditions",
  "clustertrustbundles",
  "clustertrustbundles.spec",
  "podcertificaterequests.spec",
  "podcertificaterequests.status.conditions",
  "secrets",
  "cm.data",
  "ns.status.conditions",
  "nodes.spec.taints",
  "leases.spec",
  "sa",
  "roles.rules",
  "clusterrolebindings.subjects",
  "events",
  "csinodes.spec.drivers",
];

/** Commands that read the version, the API and the cluster. */
export const looking: Script = {
  title: "version, api-resources, explain, raw",
  steps: [
    "version",
    "version -o yaml --client",
    { run: "api-versions", cut: "lines that tlsboot lacks" },
    { run: "api-resources", cut: "lines that tlsboot lacks" },
    {
      run: "api-resources -o wide",
      cut: "lines that tlsboot lacks",
      intended: { reason: "services are only read here", difference: /^\+ services .* get,list,watch {2}all$/m },
    },
    { run: "api-resources -o name --namespaced=false", cut: "lines that tlsboot lacks" },
    { run: "api-resources --api-group=certificates.k8s.io --no-headers", cut: "lines that tlsboot lacks" },
    { run: "api-resources --verbs=list,get --sort-by=name", cut: "lines that tlsboot lacks" },
    "api-resources --api-group=nobody.example",
    ...FIELDS.map((field) => ({ run: `explain ${field}`, cut: "descriptions" as const })),
    ...["csr", "secrets", "nodes"].map((kind) => ({
      run: `explain ${kind} --recursive`,
      cut: "descriptions" as const,
    })),
    { run: "explain csr.metadata --output=plaintext-openapiv2", cut: "descriptions" },
    "explain csr.nothing",
    "explain bananas",
    "explain csr --api-version=certificates.k8s.io/v9",
    { run: "explain events --api-version=events.k8s.io/v1", cut: "descriptions" },
    "get --raw /readyz",
    "get --raw /livez",
    "get --raw /healthz",
    "get --raw /livez/ping",
    "get --raw /healthz/nothing",
    "get --raw /nowhere",
    "get --raw /apis/certificates.k8s.io",
    "get --raw /apis/certificates.k8s.io/v9",
    "get --raw nowhere",
    "cluster-info",
    "get services -n kube-system",
    "describe service/none",
    "get bananas",
    "get banana/x",
    "get csr.v9.certificates.k8s.io",
    "get csr.nowhere.example",
    "get csr",
    "get ns --as=system:anonymous --as-group=system:unauthenticated",
    "version --as=system:anonymous --as-group=system:unauthenticated",
    { run: "get ns", as: "badtoken" },
  ],
};

/** Commands about the user's identity and rights. */
export const asking: Script = {
  title: "auth",
  files: {
    "rights.yaml": `
apiVersion: v1
kind: Namespace
metadata: {name: asking}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: asking}
rules:
- {apiGroups: [""], resources: [configmaps], verbs: [get, list]}
- {apiGroups: [""], resources: [secrets], resourceNames: [one, two], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: asking}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: User, name: alice, apiGroup: rbac.authorization.k8s.io}]
`,
    "more.yaml": `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: asking}
rules:
- {apiGroups: [""], resources: [configmaps], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: asking-nodes}
rules: [{apiGroups: [""], resources: [nodes], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: asking}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: asking-nodes}
subjects: [{kind: User, name: bob, apiGroup: rbac.authorization.k8s.io}]
`,
  },
  steps: [
    "auth reconcile -f rights.yaml",
    "create ns asking",
    "auth reconcile -f rights.yaml",
    "auth reconcile -f rights.yaml",
    "auth reconcile -f more.yaml --dry-run=server",
    "auth reconcile -f more.yaml",
    "auth reconcile -f rights.yaml --remove-extra-permissions --remove-extra-subjects",
    "get role,rolebinding -n asking -o yaml",
    ...(["admin", "token", "node", "alice"] as const).map((as) => ({ run: "auth whoami", as })),
    { run: "auth whoami -o yaml", as: "token" },
    "auth whoami --as=somebody --as-group=staff --as-uid=7",
    "auth can-i create csr",
    "auth can-i update csr --subresource=approval",
    "auth can-i get /healthz",
    "auth can-i fly bananas",
    "auth can-i get cm/x -n asking",
    "auth can-i '*' '*'",
    ...[
      "list cm",
      "list cm -n asking",
      "get secrets/one -n asking",
      "get secrets/three -n asking",
      "delete ns -q",
      "get /nowhere",
    ]
      .map((question) => ({ run: `auth can-i ${question}`, as: "alice" as const })),
    "auth can-i --list",
    { run: "auth can-i --list -n asking", as: "alice" },
    { run: "auth can-i --list", as: "node" },
    "auth can-i create csr --as=somebody",
    "auth can-i list cm --as=bob -A",
    "get csr --as=somebody",
    "get csr --as=somebody --as-group=system:masters -o name --field-selector=metadata.name=nobody",
    ...[
      "get csr",
      "get cm -n asking",
      "get cm nobody -n asking",
      "get secret three -n asking",
      "create cm x -n asking",
      "delete cm x -n asking",
      "patch cm x -n asking -p {}",
      "get cm -A",
      "get --raw /metrics",
      "get cm -n asking --as=admin",
      "create clusterrolebinding asking-root --clusterrole=cluster-admin --user=alice",
    ].map((run) => ({ run, as: "alice" as const })),
    { run: "create rolebinding root -n asking --clusterrole=cluster-admin --user=alice", as: "alice" },
  ],
};
