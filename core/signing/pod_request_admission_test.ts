import assert from "node:assert/strict";
import { test } from "node:test";
import { buildPodRequest } from "../../tests/support/pod_request_builder.ts";
import type { PodCertificateRequestSpec } from "../kube/kinds/certificates_v1.ts";
import type { Pod } from "../kube/kinds/core_v1.ts";
import { decidePodRequest, type PodRequestObjects } from "./pod_request_admission.ts";

const projected = { sources: [{}, { podCertificate: { signerName: "example.com/pods" } }] };
const pod: Pod = {
  metadata: { uid: "uid-of-pod" },
  spec: { nodeName: "n1", serviceAccountName: "web", volumes: [{}, { volumeSource: { projected } }] },
};
const objects: PodRequestObjects = {
  node: { metadata: { uid: "uid-of-node" } },
  pod,
  serviceAccount: { metadata: { uid: "uid-of-account" } },
};
const withSpec = (edit: Partial<Pod["spec"]>): PodRequestObjects => ({
  ...objects,
  pod: { ...pod, spec: { ...pod.spec, ...edit } },
});

for (
  const { name, edit = {}, given = objects, want } of [
    { name: "the pod of the node mounts the certificate", want: { kind: "admit" } },
    {
      name: "a volume that was stored as JSON",
      given: withSpec({ volumes: [{ projected }] }),
      want: { kind: "admit" },
    },
    { name: "no volume", given: withSpec({ volumes: [] }), want: { kind: "unmounted" } },
    { name: "another signer", edit: { signerName: "example.com/other" }, want: { kind: "unmounted" } },
    {
      name: "another node",
      edit: { nodeName: "n2" },
      want: {
        kind: "forbid",
        message: 'PodCertificateRequest.Spec.NodeName="n2", which is not the requesting node "n1"',
      },
    },
    {
      name: "no Node object",
      given: { ...objects, node: undefined },
      want: {
        kind: "retry",
        message: 'while retrieving node "n1" named in the PodCertificateRequest: node "n1" not found',
      },
    },
    {
      name: "an earlier Node object",
      edit: { nodeUID: "old" },
      want: {
        kind: "retry",
        message:
          'PodCertificateRequest for pod "team/web-1" names node UID "old", inconsistent with the running node ' +
          '("uid-of-node")',
      },
    },
    {
      name: "no pod",
      given: { ...objects, pod: undefined },
      want: {
        kind: "retry",
        message: 'while retrieving pod "team/web-1" named in the PodCertificateRequest: pod "web-1" not found',
      },
    },
    {
      name: "an earlier pod",
      edit: { podUID: "old" },
      want: {
        kind: "retry",
        message: 'PodCertificateRequest for pod "team/web-1" contains pod UID ("old") which differs from running pod ' +
          '"uid-of-pod"',
      },
    },
    {
      name: "the pod of another node",
      given: withSpec({ nodeName: "n2" }),
      want: {
        kind: "forbid",
        message: 'pod "team/web-1" is not running on node "n1" named in the PodCertificateRequest',
      },
    },
    {
      name: "a mirror pod",
      given: {
        ...objects,
        pod: { ...pod, metadata: { uid: "uid-of-pod", annotations: { "kubernetes.io/config.mirror": "" } } },
      },
      want: { kind: "forbid", message: 'pod "team/web-1" is a mirror pod' },
    },
    {
      name: "another service account",
      given: withSpec({ serviceAccountName: "other" }),
      want: {
        kind: "forbid",
        message: 'PodCertificateRequest for pod "team/web-1" contains serviceAccountName ("web") that differs from ' +
          'running pod ("other")',
      },
    },
    {
      name: "no service account",
      given: { ...objects, serviceAccount: undefined },
      want: {
        kind: "retry",
        message:
          'while retrieving service account "team/web" named in the PodCertificateRequest: serviceaccount "web" ' +
          "not found",
      },
    },
    {
      name: "an earlier service account",
      edit: { serviceAccountUID: "old" },
      want: {
        kind: "retry",
        message: 'PodCertificateRequest for pod "team/web-1" names service account UID "old", which differs from the ' +
          'running service account ("uid-of-account")',
      },
    },
  ] as readonly {
    readonly name: string;
    readonly edit?: Partial<PodCertificateRequestSpec>;
    readonly given?: PodRequestObjects;
    readonly want: ReturnType<typeof decidePodRequest>;
  }[]
) {
  test(`decidePodRequest() answers ${want.kind}: ${name}`, async () => {
    assert.deepEqual(decidePodRequest(await buildPodRequest(edit), "n1", "team", given), want);
  });
}
