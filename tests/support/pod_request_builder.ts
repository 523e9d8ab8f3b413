/** Certificate requests of pods, with real keys and signatures. */
import type {
  PodCertificateRequest,
  PodCertificateRequestSpec,
  PodCertificateRequestStatus,
} from "../../core/kube/kinds/certificates_v1.ts";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import type { KeyAlgorithm } from "../../core/pki/keys/keys.ts";
import { createCertificationRequest, type RequestOptions } from "../../core/pki/x509/pkcs10.ts";
import { sharedKey } from "./csr_builder.ts";

/** Builds `spec.stubPKCS10Request` as a kubelet does, by default without names. */
export async function buildStubRequest(
  keyAlgorithm?: KeyAlgorithm,
  names: RequestOptions = { subject: {} },
): Promise<string> {
  return encodeBase64(createCertificationRequest(names, await sharedKey(keyAlgorithm)));
}

/** Builds a request for the pod `team/web-1` on the node `n1`. */
export async function buildPodRequest(
  spec: Partial<PodCertificateRequestSpec> = {},
  status: PodCertificateRequestStatus = {},
): Promise<PodCertificateRequest> {
  return {
    kind: "PodCertificateRequest",
    apiVersion: "certificates.k8s.io/v1",
    metadata: { name: "req-1", namespace: "team" },
    spec: {
      signerName: "example.com/pods",
      podName: "web-1",
      podUID: "uid-of-pod",
      serviceAccountName: "web",
      serviceAccountUID: "uid-of-account",
      nodeName: "n1",
      nodeUID: "uid-of-node",
      maxExpirationSeconds: 86_400,
      stubPKCS10Request: await buildStubRequest(),
      ...spec,
    },
    status,
  };
}
