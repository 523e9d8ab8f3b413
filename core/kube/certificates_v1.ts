/** The objects of `certificates.k8s.io/v1` (staging `k8s.io/api/certificates/v1/types.go`). */
import type { Condition, KubeObject } from "./meta.ts";

/** The API group of requests for certificates and of trust bundles. */
export const CERTIFICATES_GROUP = "certificates.k8s.io";

/** A request for a certificate with its approval and, once issued, the certificate. */
export interface CertificateSigningRequest extends KubeObject {
  readonly spec: CertificateSigningRequestSpec;
  readonly status: CertificateSigningRequestStatus;
}

/** The requested certificate and the requester. Immutable after creation. */
export interface CertificateSigningRequestSpec {
  /** Base64 of a PEM block `CERTIFICATE REQUEST`; `null` when absent. */
  readonly request: string | null;
  readonly signerName: string;
  /** The requested lifetime in seconds, at least 600. */
  readonly expirationSeconds?: number;
  readonly usages?: readonly string[];
  /** The requester; set by the server, as are the three fields below. */
  readonly username?: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Conditions, and the certificate once it is issued. */
export interface CertificateSigningRequestStatus {
  readonly conditions?: readonly CertificateSigningRequestCondition[];
  /** Base64 of one or more PEM `CERTIFICATE` blocks, leaf first. */
  readonly certificate?: string;
}

/** One condition; the list is keyed by `type`. */
export interface CertificateSigningRequestCondition {
  /** `Approved`, `Denied`, `Failed`, or a name that a signer has chosen. */
  readonly type: string;
  /** One of `True`, `False` and `Unknown`. */
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  /** RFC 3339; `null` when zero. The server fills zero times. */
  readonly lastUpdateTime: string | null;
  readonly lastTransitionTime: string | null;
}

/** The root certificates that verify the certificates of a signer, or of any other issuer. */
export interface ClusterTrustBundle extends KubeObject {
  readonly spec: ClusterTrustBundleSpec;
}

/** The certificates of a bundle, and the signer that vouches for them. */
export interface ClusterTrustBundleSpec {
  /** The signer of the certificates, if there is one. Immutable after creation. */
  readonly signerName?: string;
  /** PEM blocks `CERTIFICATE`, each a CA. */
  readonly trustBundle: string;
}

/** A kubelet's request for a certificate of a pod. The server deletes it a quarter of an hour after its creation. */
export interface PodCertificateRequest extends KubeObject {
  readonly spec: PodCertificateRequestSpec;
  readonly status: PodCertificateRequestStatus;
}

/** The requested certificate, and the pod that will have it. Immutable after creation. */
export interface PodCertificateRequestSpec {
  readonly signerName: string;
  readonly podName: string;
  readonly podUID: string;
  readonly serviceAccountName: string;
  readonly serviceAccountUID: string;
  readonly nodeName: string;
  readonly nodeUID: string;
  /** The longest lifetime in seconds that the certificate may have; the server sets it when it is absent. */
  readonly maxExpirationSeconds?: number;
  /** Base64 of a PKCS#10 request in DER, signed by the key of the pod; `null` when absent. */
  readonly stubPKCS10Request: string | null;
  /** Requests of the author of the pod to the signer, which are not verified. */
  readonly unverifiedUserAnnotations?: Readonly<Record<string, string>>;
}

/** The decision, and the certificates once they are issued. */
export interface PodCertificateRequestStatus {
  /** At most one condition, whose type is `Issued`, `Denied` or `Failed`. */
  readonly conditions?: readonly Condition[];
  /** PEM `CERTIFICATE` blocks, leaf first. */
  readonly certificateChain?: string;
  /** RFC 3339, as in the leaf; so is `notAfter`. */
  readonly notBefore?: string;
  /** The time from which the kubelet requests the next certificate, in RFC 3339. */
  readonly beginRefreshAt?: string;
  readonly notAfter?: string;
}

/** The minimum `expirationSeconds` that the API accepts. */
export const MIN_EXPIRATION_SECONDS = 600;

// The limits of PodCertificateRequests (`pkg/apis/certificates/types.go`).

/** The `maxExpirationSeconds` that the API sets where a PodCertificateRequest has none. */
export const DEFAULT_POD_EXPIRATION_SECONDS = 86_400;
/** The minimum `maxExpirationSeconds`, and the shortest lifetime of a pod's certificate that the API accepts. */
export const MIN_POD_EXPIRATION_SECONDS = 3_600;
/** The largest `certificateChain` that the API accepts. */
export const MAX_POD_CHAIN_BYTES = 102_400;

/** The signer of client certificates for the API server; its requests are never approved automatically. */
export const KUBE_APISERVER_CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client";
/** The signer of kubelets' client certificates. */
export const KUBE_APISERVER_CLIENT_KUBELET_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet";
/** The signer of kubelets' serving certificates. */
export const KUBELET_SERVING_SIGNER = "kubernetes.io/kubelet-serving";
/** The signer of the serving certificates of the API server; it has a trust bundle and no requests. */
export const KUBE_APISERVER_SERVING_SIGNER = "kubernetes.io/kube-apiserver-serving";
/** A signer that guarantees nothing about its certificates; the v1 API refuses requests for it. */
export const LEGACY_UNKNOWN_SIGNER = "kubernetes.io/legacy-unknown";

/** The 23 key usages, in the order in which error messages list them. */
export const KEY_USAGES: readonly string[] = [
  "any",
  "cert sign",
  "client auth",
  "code signing",
  "content commitment",
  "crl sign",
  "data encipherment",
  "decipher only",
  "digital signature",
  "email protection",
  "encipher only",
  "ipsec end system",
  "ipsec tunnel",
  "ipsec user",
  "key agreement",
  "key encipherment",
  "microsoft sgc",
  "netscape sgc",
  "ocsp signing",
  "s/mime",
  "server auth",
  "signing",
  "timestamping",
];
