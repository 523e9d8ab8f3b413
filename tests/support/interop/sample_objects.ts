import { TRUST_ANCHOR } from "../trust_anchor.ts";

/** One object of every kind, with fields of every form; SUFFIX stands for their creator. */
export const SAMPLE_OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: { name: sample-SUFFIX, labels: { made-by: SUFFIX }, annotations: { text: "ü <&> 日本" } }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: sample, namespace: sample-SUFFIX, labels: { a: b } }
data: { text: "zwei\\nZeilen", empty: "" }
binaryData: { bytes: AAEC/w== }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: sample-configmap-SUFFIX, namespace: sample-SUFFIX, finalizers: [example.com/keep] }
immutable: true
---
apiVersion: v1
kind: Secret
metadata: { name: sample, namespace: sample-SUFFIX }
type: Opaque
stringData: { password: "not a secret" }
---
apiVersion: v1
kind: Secret
metadata: { name: gone, namespace: sample-SUFFIX }
immutable: false
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: sample, namespace: sample-SUFFIX }
automountServiceAccountToken: false
imagePullSecrets: [{ name: pull }]
secrets: [{ name: sample }]
---
apiVersion: v1
kind: Node
metadata: { name: sample-SUFFIX, labels: { kubernetes.io/hostname: sample } }
spec:
  podCIDR: 10.1.0.0/24
  podCIDRs: [10.1.0.0/24]
  providerID: example://1
  unschedulable: true
  taints: [{ key: a, value: b, effect: NoSchedule, timeAdded: "2026-01-01T00:00:00Z" }]
---
apiVersion: storage.k8s.io/v1
kind: CSINode
metadata: { name: sample-SUFFIX }
spec: { drivers: [{ name: csi.example.com, nodeID: n1, topologyKeys: [zone], allocatable: { count: 5 } }] }
---
apiVersion: certificates.k8s.io/v1
kind: ClusterTrustBundle
metadata: { name: sample-SUFFIX }
spec: { trustBundle: ${JSON.stringify(TRUST_ANCHOR)} }
---
apiVersion: certificates.k8s.io/v1
kind: ClusterTrustBundle
metadata: { name: "example.com:sample-SUFFIX:v1", labels: { a: b } }
spec: { signerName: example.com/sample-SUFFIX, trustBundle: ${JSON.stringify(TRUST_ANCHOR)} }
---
apiVersion: certificates.k8s.io/v1
kind: PodCertificateRequest
metadata: { name: sample, namespace: sample-SUFFIX }
spec:
  signerName: example.com/sample-SUFFIX
  podName: pod
  podUID: u1
  serviceAccountName: sample
  serviceAccountUID: u2
  nodeName: sample-SUFFIX
  nodeUID: u3
  stubPKCS10Request: MIG6MGICAQAwADBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABCs1UnQv7xgvJ9H/DLWVBFgZH8dObwCADb0YxYpn6dKY29ZQgcluwWHH5Dg3U/yIsJU1qxsYsX6Zx5x8ZzzGNSCgADAKBggqhkjOPQQDAgNIADBFAiBeWGBZoQ80QZGcmqp90bKtaqFHSukjGWRozBDxa1/UHAIhAI4qnfkU+h6Q3VOG+bt7KQrJlitY2DW91bYHeAQWl041
  unverifiedUserAnnotations: { example.com/a: b }
---
apiVersion: v1
kind: Event
metadata: { name: sample, namespace: sample-SUFFIX }
involvedObject: { kind: Node, name: sample-SUFFIX, namespace: sample-SUFFIX, uid: u1 }
reason: Sampled
message: by SUFFIX
source: { component: test, host: h }
firstTimestamp: "2026-01-01T00:00:00Z"
lastTimestamp: "2026-01-01T00:00:01Z"
count: 2
type: Normal
---
apiVersion: events.k8s.io/v1
kind: Event
metadata: { name: newer, namespace: sample-SUFFIX }
eventTime: "2026-01-01T00:00:00.123456Z"
reportingController: example.com/test
reportingInstance: test-1
action: Testing
reason: Sampled
regarding: { kind: Node, name: sample-SUFFIX, namespace: sample-SUFFIX }
note: by SUFFIX
type: Warning
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: { name: sample, namespace: sample-SUFFIX }
spec:
  holderIdentity: me
  leaseDurationSeconds: 40
  acquireTime: "2026-01-01T00:00:00.000001Z"
  renewTime: "2026-01-01T00:00:00.100000Z"
  leaseTransitions: 3
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: sample, namespace: sample-SUFFIX }
rules: [{ apiGroups: [""], resources: [secrets], resourceNames: [a], verbs: [get, list] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: sample, namespace: sample-SUFFIX }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: sample }
subjects:
- { kind: ServiceAccount, name: sample, namespace: sample-SUFFIX }
- { kind: User, apiGroup: rbac.authorization.k8s.io, name: jane }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: sample-SUFFIX }
aggregationRule: { clusterRoleSelectors: [{ matchLabels: { none: such } }] }
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: sample-paths-SUFFIX }
rules: [{ nonResourceURLs: ["/metrics*"], verbs: [get] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: sample-SUFFIX }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: sample-paths-SUFFIX }
subjects: [{ kind: Group, apiGroup: rbac.authorization.k8s.io, name: some }]
`;
