/** kubectl events and kubectl get events. */
import type { Script } from "./comparison.ts";

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

/** Events that are sorted, filtered and watched. */
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
