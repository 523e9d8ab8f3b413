/** A profile for pods, and requests that it allows. */
import type { PodCertificateRequest, PodCertificateRequestSpec } from "../../core/kube/kinds/certificates_v1.ts";
import type { KeyAlgorithm } from "../../core/pki/keys/keys.ts";
import type { RequestOptions } from "../../core/pki/x509/pkcs10.ts";
import { buildPodRequest, buildStubRequest } from "./pod_request_builder.ts";

export const POD_SIGNER = "example.com/pods";

/** A profile for the pods of the namespaces `web` and `team-*`. */
export const POD_PROFILE = `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: ${POD_SIGNER}
subject:
  commonName: { exactly: "{serviceAccount}.{namespace}" }
names:
  uris: { exactly: ["spiffe://example.org/ns/{namespace}/sa/{serviceAccount}"] }
  dns:
    allowed: ["*.{namespace}.svc.cluster.local"]
    default: ["{serviceAccount}.{namespace}.svc.cluster.local"]
    annotation: example.com/dns-names
    max: 2
usages:
  allowed: [digital signature, client auth, server auth]
  default: [digital signature, client auth]
  annotation: example.com/usages
lifetime: { max: 12h, min: 2h, refreshBefore: 3h }
keys:
  - { type: ECDSA, maxBits: 384 }
  - { type: Ed25519 }
pods:
  namespace: { allowed: [web, "team-*"] }
  node: { allowed: ["node-*"] }
`;

/** The differences from a request of the pod `shop-1` of the service account `web/shop` on `node-1`. */
export interface ShopRequestOptions {
  readonly name?: string;
  readonly namespace?: string;
  readonly keyAlgorithm?: KeyAlgorithm;
  /** The names in the PKCS#10 request; a kubelet sends none. */
  readonly stub?: RequestOptions;
  readonly spec?: Partial<PodCertificateRequestSpec>;
}

export async function buildShopRequest(options: ShopRequestOptions = {}): Promise<PodCertificateRequest> {
  const { name = "req-1", namespace = "web", keyAlgorithm, stub, spec } = options;
  const request = await buildPodRequest({
    signerName: POD_SIGNER,
    podName: "shop-1",
    serviceAccountName: "shop",
    nodeName: "node-1",
    stubPKCS10Request: await buildStubRequest(keyAlgorithm, stub),
    ...spec,
  });
  return { ...request, metadata: { name, namespace, uid: `uid-of-${name}`, resourceVersion: "1" } };
}
