/**
 * Decides whether a node may create a PodCertificateRequest, by the objects to which the request refers
 * (`plugin/pkg/admission/noderestriction/admission.go`, admitPodCertificateRequest).
 */
import type { PodCertificateRequest } from "../kube/kinds/certificates_v1.ts";
import type { Pod } from "../kube/kinds/core_v1.ts";
import type { KubeObject } from "../kube/meta.ts";
import { goQuote } from "../lib/go_text.ts";

/** The objects to which a request refers; undefined if they do not exist. */
export interface PodRequestObjects {
  readonly node?: KubeObject | undefined;
  readonly pod?: Pod | undefined;
  readonly serviceAccount?: KubeObject | undefined;
}

/**
 * The verdict: `retry` if a cache may be stale, and `unmounted` if the pod does not mount such a certificate, so that a
 * special permission decides.
 */
type PodRequestVerdict =
  | { readonly kind: "admit" | "unmounted" }
  | { readonly kind: "forbid" | "retry"; readonly message: string };

const MIRROR_ANNOTATION = "kubernetes.io/config.mirror";

/** Decides the new request of a node; `namespace` is that of the request. */
export function decidePodRequest(
  { spec }: PodCertificateRequest,
  nodeName: string,
  namespace: string,
  { node, pod, serviceAccount }: PodRequestObjects,
): PodRequestVerdict {
  const podPath = goQuote(`${namespace}/${spec.podName}`);
  const accountPath = goQuote(`${namespace}/${spec.serviceAccountName}`);
  const request = `PodCertificateRequest for pod ${podPath}`;
  if (spec.nodeName !== nodeName) {
    return forbid(
      `PodCertificateRequest.Spec.NodeName=${goQuote(spec.nodeName)}, which is not the requesting node ${
        goQuote(nodeName)
      }`,
    );
  }
  if (node === undefined) return retryMissing("node", goQuote(nodeName), nodeName);
  if (getUid(node) !== spec.nodeUID) {
    return retry(
      `${request} names node UID ${goQuote(spec.nodeUID)}, inconsistent with the running node (${
        goQuote(getUid(node))
      })`,
    );
  }
  if (pod === undefined) return retryMissing("pod", podPath, spec.podName);
  if (getUid(pod) !== spec.podUID) {
    return retry(
      `${request} contains pod UID (${goQuote(spec.podUID)}) which differs from running pod ${goQuote(getUid(pod))}`,
    );
  }
  if (pod.spec.nodeName !== nodeName) {
    return forbid(
      `pod ${podPath} is not running on node ${goQuote(nodeName)} named in the PodCertificateRequest`,
    );
  }
  if (Object.hasOwn(pod.metadata.annotations ?? {}, MIRROR_ANNOTATION)) {
    return forbid(`pod ${podPath} is a mirror pod`);
  }
  const { serviceAccountName = "" } = pod.spec;
  if (serviceAccountName !== spec.serviceAccountName) {
    return forbid(
      `${request} contains serviceAccountName (${goQuote(spec.serviceAccountName)}) that differs from running pod (${
        goQuote(serviceAccountName)
      })`,
    );
  }
  if (serviceAccount === undefined) {
    return retryMissing("service account", accountPath, spec.serviceAccountName, "serviceaccount");
  }
  if (getUid(serviceAccount) !== spec.serviceAccountUID) {
    return retry(
      `${request} names service account UID ${
        goQuote(spec.serviceAccountUID)
      }, which differs from the running service account (${goQuote(getUid(serviceAccount))})`,
    );
  }
  return { kind: mountsCertificate(pod, spec.signerName) ? "admit" : "unmounted" };
}

function mountsCertificate(pod: Pod, signerName: string): boolean {
  return (pod.spec.volumes ?? []).some(({ projected, volumeSource }) =>
    (projected ?? volumeSource?.projected)?.sources?.some((source) => source.podCertificate?.signerName === signerName)
  );
}

function forbid(message: string): PodRequestVerdict {
  return { kind: "forbid", message };
}

function retry(message: string): PodRequestVerdict {
  return { kind: "retry", message };
}

/** Creates the verdict for a missing object. The message ends as that of client-go's listers. */
function retryMissing(what: string, path: string, name: string, resource = what): PodRequestVerdict {
  return retry(
    `while retrieving ${what} ${path} named in the PodCertificateRequest: ${resource} ${goQuote(name)} not found`,
  );
}

function getUid({ metadata: { uid = "" } }: KubeObject): string {
  return uid;
}
