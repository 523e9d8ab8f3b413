/**
 * Names, limits and enumerations of the kinds. They are apart from the descriptions, which a command that only parses its
 * flags does not load.
 */

/** The API group of requests for certificates and of trust bundles. */
export const CERTIFICATES_GROUP = "certificates.k8s.io";

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

/** The API group of tlsboot's own kinds. */
export const TLSBOOT_GROUP = "tlsboot";

/** The codes of revocation reasons by name (RFC 5280 §5.3.1). `removeFromCRL` is missing, because only delta CRLs have it. */
export const CRL_REASON_CODES = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const;

export const REVOCATION_REASONS: readonly string[] = Object.keys(CRL_REASON_CODES);

/** The CAs that can be rotated: the names of their files below `pki/`, without `.crt`. */
export const ROTATABLE_CAS: readonly string[] = [
  "ca",
  "client-ca",
  "kubelet-client-ca",
  "kubelet-serving-ca",
  "custom-ca",
];

export const CA_ROTATION_STEPS = ["Trust", "Switch", "Finish"] as const;

/** The kinds of proof of a NodeAttestation, in the order in which a machine tries them. */
export const PROOF_KINDS = ["tpm", "ssh"] as const;
