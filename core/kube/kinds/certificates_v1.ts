/** The kinds of `certificates.k8s.io/v1` (staging `k8s.io/api/certificates/v1/types.go`). */
import { CERTIFICATES_GROUP, KEY_USAGES } from "./constants.ts";
import type { Condition, KubeObject } from "../meta.ts";
import type { Kind } from "../schema.ts";
import { clusterWide, describeVersion, namespaced } from "./kind.ts";
import { conditionSchema } from "./meta_v1.ts";
import {
  always,
  atomic,
  BYTES,
  enumerated,
  EXTRA,
  INT32,
  keyedBy,
  map,
  mergedBy,
  named,
  omitempty,
  optional,
  required,
  STRING,
  TIME,
  UID,
} from "./notation.ts";

const { kind, message } = describeVersion(CERTIFICATES_GROUP, "v1", "io.k8s.api.certificates.v1");

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

const csrSpec = message<CertificateSigningRequestSpec>("CertificateSigningRequestSpec", "Request and requester.", {
  request: required(1, BYTES, "A PKCS#10 request as one PEM block named CERTIFICATE REQUEST."),
  signerName: required(7, STRING, "Signer that should handle the request, written domain/path."),
  expirationSeconds: optional(8, INT32, "Lifetime in seconds, at least 600; the signer may choose otherwise."),
  usages: omitempty(5, enumerated(KEY_USAGES, named("[]v1.KeyUsage", atomic(STRING))), "Requested key usages."),
  username: omitempty(2, STRING, "User who made the request; filled by the server."),
  uid: omitempty(3, STRING, "Identifier of that user; filled by the server."),
  groups: omitempty(4, atomic(STRING), "Groups of that user; filled by the server."),
  extra: omitempty(6, EXTRA, "Further attributes of that user; filled by the server."),
});

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

const csrCondition = message<CertificateSigningRequestCondition>(
  "CertificateSigningRequestCondition",
  "One condition of a request.",
  {
    type: required(
      1,
      named("v1.RequestConditionType"),
      "Approved, Denied, Failed, or a name that a signer has chosen.",
    ),
    status: required(6, named("v1.ConditionStatus"), "True, False or Unknown."),
    reason: omitempty(2, STRING, "Short machine-readable cause."),
    message: omitempty(3, STRING, "The cause in words."),
    lastUpdateTime: always(4, TIME, "When the condition was last written."),
    lastTransitionTime: always(5, TIME, "When the condition last changed its status."),
  },
);

/** Conditions, and the certificate once it is issued. */
export interface CertificateSigningRequestStatus {
  readonly conditions?: readonly CertificateSigningRequestCondition[];
  /** Base64 of one or more PEM `CERTIFICATE` blocks, leaf first. */
  readonly certificate?: string;
}

const csrStatus = message<CertificateSigningRequestStatus>("CertificateSigningRequestStatus", "Decision and result.", {
  conditions: omitempty(1, keyedBy(["type"], csrCondition), "Approved, Denied, Failed, and what signers add."),
  certificate: omitempty(2, BYTES, "The certificate as PEM, leaf first; set once by the signer."),
});

/** A request for a certificate with its approval and, once issued, the certificate. */
export interface CertificateSigningRequest extends KubeObject {
  readonly spec: CertificateSigningRequestSpec;
  readonly status: CertificateSigningRequestStatus;
}

/** Describes the kind `CertificateSigningRequest` of `certificates.k8s.io/v1` for all codecs. */
export const certificateSigningRequestKind: Kind = kind<CertificateSigningRequest>(
  "CertificateSigningRequest",
  clusterWide("csr"),
  "Asks a signer for an X.509 certificate; an approver allows it, the signer puts the certificate into status.",
  {
    spec: required(2, csrSpec, "The requested certificate and the requester. Cannot change after creation."),
    status: always(3, csrStatus, "Whether the request was approved or denied, and the certificate once issued."),
  },
);

/** The certificates of a bundle, and the signer that vouches for them. */
export interface ClusterTrustBundleSpec {
  /** The signer of the certificates, if there is one. Immutable after creation. */
  readonly signerName?: string;
  /** PEM blocks `CERTIFICATE`, each a CA. */
  readonly trustBundle: string;
}

const bundleSpec = message<ClusterTrustBundleSpec>("ClusterTrustBundleSpec", "Certificates and their signer.", {
  signerName: omitempty(
    1,
    STRING,
    "Signer of the certificates, written domain/path. Writing the bundle needs the right to attest for it, " +
      "and the name of the bundle starts with it, with a colon for the slash. Cannot change after creation.",
  ),
  trustBundle: required(2, STRING, "CA certificates as PEM blocks named CERTIFICATE, without headers or repetition."),
});

/** The root certificates that verify the certificates of a signer, or of any other issuer. */
export interface ClusterTrustBundle extends KubeObject {
  readonly spec: ClusterTrustBundleSpec;
}

export const clusterTrustBundleKind: Kind = kind<ClusterTrustBundle>(
  "ClusterTrustBundle",
  clusterWide(),
  "Holds the root certificates that verify the certificates of a signer, or of any other issuer.",
  {
    spec: required(2, bundleSpec, "The certificates, and their signer if there is one."),
  },
);

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
  /** Unverified hints of the pod's author to the signer. */
  readonly unverifiedUserAnnotations?: Readonly<Record<string, string>>;
}

const podRequestSpec = message<PodCertificateRequestSpec>("PodCertificateRequestSpec", "The request and its pod.", {
  signerName: required(1, STRING, "Signer that should handle the request, written domain/path."),
  podName: required(2, STRING, "Name of the pod that will have the certificate."),
  podUID: required(3, UID, "UID of that pod."),
  serviceAccountName: required(4, STRING, "Name of the service account that the pod runs as."),
  serviceAccountUID: required(5, UID, "UID of that service account."),
  nodeName: required(6, named("types.NodeName"), "Name of the node that the pod runs on."),
  nodeUID: required(7, UID, "UID of that node."),
  maxExpirationSeconds: optional(8, { type: INT32, default: 86400 }, "Longest lifetime in seconds, 3600 to 7862400."),
  stubPKCS10Request: required(12, BYTES, "PKCS#10 in DER, for RSA (3072 or 4096), P-256, P-384, P-521 or Ed25519."),
  unverifiedUserAnnotations: omitempty(11, map(STRING), "Unverified hints of the pod's author; each key has a domain."),
});

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

const podRequestStatus = message<PodCertificateRequestStatus>("PodCertificateRequestStatus", "Decision and result.", {
  conditions: omitempty(1, mergedBy("type", conditionSchema), "At most one, True: Issued, Denied or Failed."),
  certificateChain: omitempty(2, STRING, "The certificates as PEM, leaf first; set once by the signer."),
  notBefore: optional(4, TIME, "When the leaf becomes valid, as in the certificate."),
  beginRefreshAt: optional(5, TIME, "When the kubelet should request the next certificate."),
  notAfter: optional(6, TIME, "When the leaf expires, as in the certificate."),
});

/** A kubelet's request for a certificate of a pod. The server deletes it a quarter of an hour after its creation. */
export interface PodCertificateRequest extends KubeObject {
  readonly spec: PodCertificateRequestSpec;
  readonly status: PodCertificateRequestStatus;
}

export const podCertificateRequestKind: Kind = kind<PodCertificateRequest>(
  "PodCertificateRequest",
  namespaced(),
  "Asks a signer for a certificate of a pod. Kubelets make such requests for podCertificate volumes.",
  {
    spec: required(2, podRequestSpec, "The requested certificate and its pod. Cannot change after creation."),
    status: always(3, podRequestStatus, "The decision, and the certificates once issued."),
  },
);
