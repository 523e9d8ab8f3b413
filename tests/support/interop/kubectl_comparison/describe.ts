import type { Script } from "./comparison.ts";

/** describe of every kind that has a describer of its own, and of one that has none. */
export const describing: Script = {
  title: "describe: every kind",
  files: {
    "objects.yaml": `
apiVersion: v1
kind: Namespace
metadata: {name: describing, labels: {team: a}, annotations: {example.com/why: because}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: map, namespace: describing}
data: {plain: text, lines: "one\\ntwo\\n"}
binaryData: {bytes: AAEC}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden, namespace: describing}
type: example.com/odd
stringData: {password: hunter2}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: robot, namespace: describing}
secrets: [{name: hidden}, {name: gone}]
imagePullSecrets: [{name: gone}]
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: leader, namespace: describing}
spec: {holderIdentity: me, leaseDurationSeconds: 15, renewTime: "2026-01-01T00:00:00.123456Z"}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: describing}
rules:
- {apiGroups: ["", certificates.k8s.io], resources: [configmaps, certificatesigningrequests/status], resourceNames: [a, b], verbs: [get, list]}
- {apiGroups: [""], resources: [secrets], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: describing}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: robot, namespace: describing}, {kind: User, name: alice, apiGroup: rbac.authorization.k8s.io}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: describing-reader}
rules: [{nonResourceURLs: [/healthz, "/healthz/*"], verbs: [get]}, {apiGroups: [""], resources: [nodes], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: describing-readers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: describing-reader}
subjects: [{kind: Group, name: staff, apiGroup: rbac.authorization.k8s.io}]
---
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: describing-web, labels: {a: b}}
spec:
  request: \${csr:describing-web}
  signerName: example.com/describing
  expirationSeconds: 86400
  usages: [digital signature, client auth]
---
apiVersion: v1
kind: Event
metadata: {name: something, namespace: describing}
involvedObject: {apiVersion: v1, kind: ConfigMap, name: map, namespace: describing}
reason: Painted
message: the map was painted
type: Warning
count: 3
source: {component: painter, host: h}
`,
  },
  steps: [
    "create -f objects.yaml",
    {
      run: "describe ns describing",
      meant: {
        reason: "there are no resources resourcequotas and limitranges",
        difference: /^(?: .*\n)+- No resource quota\.\n- \n- No LimitRange resource\.\n-\s*$/,
      },
    },
    "describe cm map -n describing",
    "describe secret hidden -n describing",
    "describe sa robot -n describing",
    "describe lease leader -n describing",
    "describe role reader -n describing",
    "describe rolebinding readers -n describing",
    "describe clusterrole describing-reader",
    "describe clusterrolebinding describing-readers",
    "describe csr describing-web",
    "certificate approve describing-web",
    "describe csr describing-web",
    "describe csr/describing-web --show-events=false",
    "describe csr -l a=b",
    "describe events -n describing",
    "describe cm -n describing",
    "describe cm ma -n describing",
    "describe cm,secret -n describing -l none=here",
    "describe cm/map secret/hidden -n describing",
    "describe cm nobody -n describing",
    "describe clusterrole system:node-bootstrapper",
    "describe clusterrolebinding system:basic-user",
  ],
};

/** describe of a node lists its pods, of which there are none, and reads its lease. */
export const describingNodes: Script = {
  title: "describe: a node",
  files: {
    "node.yaml": `
apiVersion: v1
kind: Node
metadata: {name: described-node, labels: {kubernetes.io/hostname: described-node, node-role.kubernetes.io/worker: ""}}
spec: {podCIDR: 10.1.1.0/24, unschedulable: true}
status:
  addresses: [{type: InternalIP, address: 192.0.2.8}]
  capacity: {cpu: "2", memory: 2Gi, pods: "110"}
  allocatable: {cpu: "2", memory: 2Gi, pods: "110"}
  conditions: [{type: Ready, status: "False", reason: KubeletNotReady, message: it is not, lastHeartbeatTime: "2026-01-01T00:00:00Z", lastTransitionTime: "2026-01-01T00:00:00Z"}]
  nodeInfo: {architecture: amd64, bootID: b, containerRuntimeVersion: containerd://2.0.0, kernelVersion: 6.1.0, kubeProxyVersion: "", kubeletVersion: v1.37.2, machineID: m, operatingSystem: linux, osImage: Debian, systemUUID: s}
`,
  },
  steps: [
    "create -f node.yaml",
    "get node described-node",
    "describe node described-node",
    "describe nodes",
    "describe nodes nobody",
  ],
};

const FIRST = `
apiVersion: v1
kind: Event
metadata: {name: first, namespace: eventful}
involvedObject: {apiVersion: v1, kind: ConfigMap, name: map, namespace: eventful}
reason: Painted
message: the map was painted
type: Warning
count: 3
firstTimestamp: "2026-01-01T00:00:00Z"
lastTimestamp: "2026-01-03T00:00:00Z"
source: {component: painter}
`;

/** events sorts, filters and follows objects. */
export const events: Script = {
  title: "events",
  files: {
    "first.yaml": FIRST,
    "events.yaml": `
apiVersion: v1
kind: Namespace
metadata: {name: eventful}
---
${FIRST}
---
apiVersion: v1
kind: Event
metadata: {name: second, namespace: default}
involvedObject: {apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, name: web}
reason: Signed
message: it was signed
type: Normal
firstTimestamp: "2026-01-01T00:00:00Z"
lastTimestamp: "2026-01-02T00:00:00Z"
source: {component: signer}
---
apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: third, namespace: eventful}
regarding: {apiVersion: v1, kind: Secret, name: s, namespace: eventful}
action: Looking
reason: Seen
note: somebody looked
type: Normal
eventTime: "2026-01-04T00:00:00.000000Z"
reportingController: example.com/looker
reportingInstance: looker-1
`,
  },
  steps: [
    "create -f events.yaml",
    "events -n eventful",
    "events -n eventful --types=Warning",
    "events -n eventful --types=Normal,Warning --no-headers",
    "events -n eventful --for=cm/map",
    "events -n default --for=csr/web",
    "events -n eventful -o yaml",
    "events -n eventful -o name",
    "events -n nowhere",
    "get events -n eventful",
    "get events -n eventful --sort-by=.lastTimestamp",
    "get events -n eventful -o wide",
    "get events -n eventful --field-selector=type=Warning,involvedObject.kind=ConfigMap",
    "get events -n eventful --field-selector=reason=Painted -o name",
    "get events.events.k8s.io -n eventful",
    "get events.v1.events.k8s.io third -n eventful -o yaml",
    "get events.v1. third -n eventful -o yaml",
    "describe event first -n eventful",
    {
      watch: "events -n eventful --watch",
      lines: 5,
      while: ["delete event first -n eventful", "create -f events.yaml"],
    },
    "delete events --all -n eventful",
    "delete events.events.k8s.io --all -n eventful",
  ],
};
