/** kubectl get and describe with every kind, output format and selector. */
import type { Script } from "./comparison.ts";

const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: {name: forms, labels: {team: a}, annotations: {example.com/why: because}}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: first
  namespace: forms
  labels: {tier: front, app.kubernetes.io/name: shop}
  annotations: {example.com/why: "because, \\"quoted\\""}
data:
  plain: text
  number: "12"
  lines: |
    one
    two
binaryData: {bytes: AAEC}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: second, namespace: forms, labels: {tier: back}}
immutable: true
data: {b: "1", a: "2"}
---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: forms, labels: {tier: front}}
type: example.com/odd
stringData: {password: hunter2}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: robot, namespace: forms}
secrets: [{name: token}, {name: gone}]
imagePullSecrets: [{name: gone}]
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: leader, namespace: forms}
spec: {holderIdentity: me, leaseDurationSeconds: 15, renewTime: "2026-01-01T00:00:00.123456Z"}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: forms}
rules:
- {apiGroups: ["", certificates.k8s.io], resources: [configmaps, certificatesigningrequests/status], resourceNames: [a, b], verbs: [get, list]}
- {apiGroups: [""], resources: [secrets], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: forms}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: robot, namespace: forms}, {kind: User, name: alice, apiGroup: rbac.authorization.k8s.io}, {kind: Group, name: staff, apiGroup: rbac.authorization.k8s.io}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: forms-reader}
rules: [{nonResourceURLs: [/healthz, "/healthz/*"], verbs: [get]}, {apiGroups: [""], resources: [nodes], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: forms-readers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: forms-reader}
subjects: [{kind: Group, name: staff, apiGroup: rbac.authorization.k8s.io}]
---
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: forms-web, labels: {a: b}}
spec:
  request: \${csr:forms-web}
  signerName: example.com/forms
  expirationSeconds: 86400
  usages: [digital signature, client auth]
---
apiVersion: v1
kind: Event
metadata: {name: something, namespace: forms}
involvedObject: {apiVersion: v1, kind: ConfigMap, name: first, namespace: forms}
reason: Painted
message: the map was painted
type: Warning
count: 3
source: {component: painter, host: h}
`;

const NODE = `
apiVersion: v1
kind: Node
metadata:
  name: forms-node
  labels: {kubernetes.io/hostname: forms-node, node-role.kubernetes.io/worker: ""}
spec: {podCIDR: 10.1.0.0/24, providerID: "none://forms", taints: [{key: a, value: b, effect: NoSchedule}]}
status:
  addresses: [{type: InternalIP, address: 192.0.2.7}, {type: Hostname, address: forms-node}]
  capacity: {cpu: "2", memory: 2Gi, pods: "110"}
  allocatable: {cpu: "2", memory: 2Gi, pods: "110"}
  conditions: [{type: Ready, status: "True", reason: KubeletReady, message: it is, lastHeartbeatTime: "2026-01-01T00:00:00Z", lastTransitionTime: "2026-01-01T00:00:00Z"}]
  nodeInfo: {architecture: amd64, bootID: b, containerRuntimeVersion: containerd://2.0.0, kernelVersion: 6.1.0, kubeProxyVersion: "", kubeletVersion: v1.37.2, machineID: m, operatingSystem: linux, osImage: Debian, systemUUID: s}
`;

const KINDS = [
  "ns forms",
  "cm -n forms",
  "secrets -n forms",
  "sa -n forms",
  "leases -n forms",
  "roles -n forms",
  "rolebindings -n forms",
  "clusterroles forms-reader",
  "clusterrolebindings forms-readers",
  "csr forms-web",
  "events -n forms",
  "events.events.k8s.io -n forms",
  "nodes",
];

/** The difference in the description of a namespace, because tlsboot serves no quotas and limit ranges. */
export const NO_QUOTAS = {
  reason: "there are no resources resourcequotas and limitranges",
  difference: /^(?: .*\n)+- No resource quota\.\n- \n- No LimitRange resource\.\n-\s*$/,
};

export const outputs: Script = {
  title: "get and describe: every kind, every output",
  files: {
    "objects.yaml": OBJECTS,
    "node.yaml": NODE,
    "columns.txt": "NAME KEYS\nmetadata.name data\n",
    "template.txt": "{{range .items}}{{.metadata.name}};{{end}}",
  },
  steps: [
    "create -f objects.yaml",
    "create -f node.yaml",
    ...KINDS.flatMap((kind) => [`get ${kind}`, `get ${kind} -o wide`, `get ${kind} -o yaml --show-managed-fields`]),
    "get cm,secret,sa -n forms",
    "get cm,secret -n forms -o name",
    "get csr.v1.certificates.k8s.io forms-web -o name",
    "get csr --field-selector=spec.signerName=example.com/forms -o name",
    "get all -n forms",
    "get cm/first secret/token -n forms",
    "get cm first second -n forms -o json",
    "get cm -n forms -o yaml",
    "get cm first -n forms -o kyaml",
    "get cm -n forms -o kyaml",
    "get cm -n forms -o name",
    "get cm -n forms --show-labels",
    "get cm -n forms --no-headers",
    "get cm -n forms -L tier,app.kubernetes.io/name",
    "get cm -n forms --show-kind",
    "get cm -n forms --sort-by=.metadata.labels.tier",
    "get cm -n forms --sort-by=.data.nothing",
    "get cm -n forms --sort-by={.metadata.name} -o name",
    "get cm -n forms --chunk-size=1",
    "get cm -n forms --chunk-size=1 -o name",
    "get cm -n forms --server-print=false",
    "get cm -n forms -o 'jsonpath={.items[*].metadata.name}'",
    "get cm first -n forms -o 'jsonpath={.data.plain} {.data.absent}'",
    "get cm first -n forms -o 'jsonpath={.nothing}' --allow-missing-template-keys=false",
    "get cm first -n forms -o jsonpath-as-json={.data}",
    "get cm -n forms -o 'jsonpath={range .items[?(@.immutable==true)]}{.metadata.name}{end}'",
    "get cm -n forms -o 'go-template={{range .items}}{{.metadata.name}} {{len .data}};{{end}}'",
    "get cm -n forms -o go-template-file=template.txt",
    "get cm -n forms -o custom-columns=N:.metadata.name,I:.immutable",
    "get cm -n forms -o custom-columns-file=columns.txt",
    "get cm -n forms -o custom-columns=N:.metadata.name --no-headers",
    "get cm -n forms -o banana",
    "get cm -A -l tier=front",
    "get cm -A -l tier=front -o name",
    "get secrets -A",
    "get cm -n forms --ignore-not-found nothing",
    "get -f objects.yaml",
    "get -f objects.yaml -o name",
    "get --raw /api/v1/namespaces/forms/configmaps/second?pretty=true",
    { run: "describe ns forms", intended: NO_QUOTAS },
    "describe cm first -n forms",
    "describe secret token -n forms",
    "describe sa robot -n forms",
    "describe lease leader -n forms",
    "describe role reader -n forms",
    "describe rolebinding readers -n forms",
    "describe clusterrole forms-reader",
    "describe clusterrolebinding forms-readers",
    "describe csr forms-web",
    "certificate approve forms-web",
    "describe csr forms-web",
    "describe csr/forms-web --show-events=false",
    "describe csr -l a=b",
    "describe events -n forms",
    "describe cm -n forms",
    "describe cm fir -n forms",
    "describe cm,secret -n forms -l none=here",
    "describe cm/first secret/token -n forms",
    "describe cm nobody -n forms",
    "describe clusterrole system:node-bootstrapper",
    "describe clusterrolebinding system:basic-user",
    // Lists the pods of the node, which has none, and reads its lease.
    "describe node forms-node",
    "describe nodes",
    "describe nodes nobody",
  ],
};

export const selectors: Script = {
  title: "get: selectors",
  files: {
    "objects.yaml": `
apiVersion: v1
kind: Namespace
metadata: {name: selecting}
---
apiVersion: v1
kind: Secret
metadata: {name: a, namespace: selecting, labels: {tier: front, env: prod}}
type: Opaque
---
apiVersion: v1
kind: Secret
metadata: {name: b, namespace: selecting, labels: {tier: back}}
type: example.com/odd
---
apiVersion: v1
kind: Secret
metadata: {name: c, namespace: selecting}
`,
  },
  steps: [
    "create -f objects.yaml",
    "get secrets -n selecting -l tier=front",
    "get secrets -n selecting -l tier!=front",
    "get secrets -n selecting -l 'tier in (front,back),!env'",
    "get secrets -n selecting -l 'tier notin (front)'",
    "get secrets -n selecting -l tier",
    "get secrets -n selecting -l !tier",
    "get secrets -n selecting -l tier=nobody",
    "get secrets -n selecting -l tier=not!valid",
    "get secrets -n selecting -l 'tier in'",
    "get secrets -n selecting --field-selector=type=Opaque",
    "get secrets -n selecting --field-selector=type!=Opaque,metadata.name!=b",
    "get secrets -n selecting --field-selector=metadata.name=a",
    "get secrets -n selecting --field-selector=data.x=a",
    "get secrets -n selecting --field-selector=metadata.name",
    "get secrets -A --field-selector=metadata.namespace=selecting -o name",
    "get secrets a -n selecting -l tier=front",
    "get csr --field-selector=spec.signerName=example.com/nobody",
    "get csr --field-selector=spec.colour=red",
    "get ns --field-selector=status.phase=Active,metadata.name=selecting",
    "get nodes --field-selector=spec.unschedulable=true",
    "get clusterroles -l kubernetes.io/bootstrapping=rbac-defaults --field-selector=metadata.name=view -o name",
    "get leases -n selecting --field-selector=spec.holderIdentity=me",
    "get events -n selecting --field-selector=involvedObject.name=x",
    "get events.events.k8s.io -n selecting --field-selector=regarding.name=x",
  ],
};

export const subresources: Script = {
  title: "get: subresources",
  files: {
    "csr.yaml": `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: sub-web}
spec: {request: "\${csr:sub-web}", signerName: example.com/sub, usages: [client auth]}
`,
  },
  steps: [
    "create -f csr.yaml",
    "get csr sub-web --subresource=approval",
    "get csr sub-web --subresource=status -o name",
    "get csr sub-web --subresource=approval -o yaml",
    "get csr sub-web --subresource=scale",
    "get csr --subresource=status",
    "get ns default --subresource=status -o 'jsonpath={.status.phase}'",
    "get cm -n default nothing --subresource=status",
  ],
};
