/** `certificates.k8s.io/v1` CertificateSigningRequest (staging `k8s.io/api/certificates/v1/types.go`). */
import type { KubeObject } from "./meta.ts";

/** A request for a certificate, its approval and, in the end, the certificate. */
export interface CertificateSigningRequest extends KubeObject {
  readonly spec: CertificateSigningRequestSpec;
  readonly status: CertificateSigningRequestStatus;
}

/** What is asked for, and by whom. Immutable after creation. */
export interface CertificateSigningRequestSpec {
  /** Base64 of a PEM block `CERTIFICATE REQUEST`; `null` when absent. */
  readonly request: string | null;
  readonly signerName: string;
  /** At least 600 when given. */
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
  /** `Approved`, `Denied`, `Failed`, or a name of a signer's own. */
  readonly type: string;
  /** `True`, `False` or `Unknown`. */
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  /** RFC 3339; `null` when zero. The server fills zero times. */
  readonly lastUpdateTime: string | null;
  readonly lastTransitionTime: string | null;
}

/** The least `expirationSeconds` that the API takes. */
export const MIN_EXPIRATION_SECONDS = 600;

/** Signs client certificates for the API server; never approved automatically. */
export const KUBE_APISERVER_CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client";
/** Signs kubelets' client certificates. */
export const KUBE_APISERVER_CLIENT_KUBELET_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet";
/** Signs kubelets' serving certificates. */
export const KUBELET_SERVING_SIGNER = "kubernetes.io/kubelet-serving";
/** Promises nothing; refused on creation through v1. */
export const LEGACY_UNKNOWN_SIGNER = "kubernetes.io/legacy-unknown";

/** The 23 usages, in the order of error texts. */
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
