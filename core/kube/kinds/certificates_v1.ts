/** The kinds of `certificates.k8s.io/v1` (staging `k8s.io/api/certificates/v1/types.go`). */
import {
  CERTIFICATES_GROUP,
  type CertificateSigningRequest,
  type CertificateSigningRequestCondition,
  type CertificateSigningRequestSpec,
  type CertificateSigningRequestStatus,
  type ClusterTrustBundle,
  type ClusterTrustBundleSpec,
  KEY_USAGES,
  type PodCertificateRequest,
  type PodCertificateRequestSpec,
  type PodCertificateRequestStatus,
} from "../certificates_v1.ts";
import type { Kind } from "../schema.ts";
import { clusterWide, describeVersion, namespaced } from "./kind.ts";
import { conditionSchema } from "./meta_v1.ts";
import {
  always,
  atomic,
  BYTES,
  enumerated,
  INT32,
  keyedBy,
  list,
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

const certificateSigningRequestSpec = message<CertificateSigningRequestSpec>(
  "CertificateSigningRequestSpec",
  "The request and its requester.",
  {
    request: required(1, BYTES, "A PKCS#10 request as one PEM block named CERTIFICATE REQUEST."),
    signerName: required(7, STRING, "Signer that should handle the request, written domain/path."),
    expirationSeconds: optional(
      8,
      INT32,
      "Life the certificate should have, at least 600; the signer may choose otherwise.",
    ),
    usages: omitempty(
      5,
      enumerated(KEY_USAGES, named("[]v1.KeyUsage", atomic(STRING))),
      "Key usages the certificate should have.",
    ),
    username: omitempty(2, STRING, "User who made the request; filled by the server."),
    uid: omitempty(3, STRING, "Identifier of that user; filled by the server."),
    groups: omitempty(4, atomic(STRING), "Groups of that user; filled by the server."),
    extra: omitempty(
      6,
      named("map[string]v1.ExtraValue", map(list(STRING))),
      "Further attributes of that user; filled by the server.",
    ),
  },
);

const certificateSigningRequestCondition = message<CertificateSigningRequestCondition>(
  "CertificateSigningRequestCondition",
  "One condition of a request.",
  {
    type: required(1, named("v1.RequestConditionType"), "Approved, Denied, Failed, or a name of a signer's own."),
    status: required(6, named("v1.ConditionStatus"), "True, False or Unknown."),
    reason: omitempty(2, STRING, "Short machine-readable cause."),
    message: omitempty(3, STRING, "The cause in words."),
    lastUpdateTime: always(4, TIME, "When the condition was last written."),
    lastTransitionTime: always(5, TIME, "When the condition last changed its status."),
  },
);

const certificateSigningRequestStatus = message<CertificateSigningRequestStatus>(
  "CertificateSigningRequestStatus",
  "Decision and result.",
  {
    conditions: omitempty(
      1,
      keyedBy(["type"], certificateSigningRequestCondition),
      "Approved, Denied and Failed, and what signers add of their own.",
    ),
    certificate: omitempty(2, BYTES, "The certificate as PEM, leaf first; set once by the signer."),
  },
);

/** Describes the kind `CertificateSigningRequest` of `certificates.k8s.io/v1` for all codecs. */
export const certificateSigningRequestKind: Kind = kind<CertificateSigningRequest>(
  "CertificateSigningRequest",
  clusterWide("csr"),
  "Asks a signer for an X.509 certificate; an approver allows it, the signer puts the certificate into status.",
  {
    spec: required(
      2,
      certificateSigningRequestSpec,
      "The requested certificate and the requester. Cannot change after creation.",
    ),
    status: always(
      3,
      certificateSigningRequestStatus,
      "Whether the request was approved or denied, and the certificate once issued.",
    ),
  },
);

const clusterTrustBundleSpec = message<ClusterTrustBundleSpec>(
  "ClusterTrustBundleSpec",
  "The certificates of a bundle, and their signer if there is one.",
  {
    signerName: omitempty(
      1,
      STRING,
      "Signer of the certificates, written domain/path. Writing the bundle needs the right to attest for it, " +
        "and the name of the bundle starts with it, with a colon for the slash. Cannot change after creation.",
    ),
    trustBundle: required(
      2,
      STRING,
      "Certificates of CAs as PEM blocks named CERTIFICATE, without headers, none of them twice.",
    ),
  },
);

export const clusterTrustBundleKind: Kind = kind<ClusterTrustBundle>(
  "ClusterTrustBundle",
  clusterWide(),
  "Holds the root certificates that verify the certificates of a signer, or of any other issuer.",
  {
    spec: required(2, clusterTrustBundleSpec, "The certificates, and their signer if there is one."),
  },
);

const podCertificateRequestSpec = message<PodCertificateRequestSpec>(
  "PodCertificateRequestSpec",
  "The requested certificate, and the pod that will have it.",
  {
    signerName: required(1, STRING, "Signer that should handle the request, written domain/path."),
    podName: required(2, STRING, "Name of the pod that will have the certificate."),
    podUID: required(3, UID, "UID of that pod."),
    serviceAccountName: required(4, STRING, "Name of the service account that the pod runs as."),
    serviceAccountUID: required(5, UID, "UID of that service account."),
    nodeName: required(6, named("types.NodeName"), "Name of the node that the pod runs on."),
    nodeUID: required(7, UID, "UID of that node."),
    maxExpirationSeconds: optional(
      8,
      { type: INT32, default: 86400 },
      "The longest lifetime that the certificate may have, from 3600 to 7862400; 86400 when absent.",
    ),
    stubPKCS10Request: required(
      12,
      BYTES,
      "A PKCS#10 request in DER, signed by the key of the pod: RSA 3072 or 4096, P-256, P-384, P-521, or Ed25519.",
    ),
    unverifiedUserAnnotations: omitempty(
      11,
      map(STRING),
      "Requests of the author of the pod to the signer, not verified; each key has a domain.",
    ),
  },
);

const podCertificateRequestStatus = message<PodCertificateRequestStatus>(
  "PodCertificateRequestStatus",
  "The decision, and the certificates once issued.",
  {
    conditions: omitempty(
      1,
      mergedBy("type", conditionSchema),
      "At most one condition: Issued, Denied or Failed, with the status True.",
    ),
    certificateChain: omitempty(2, STRING, "The certificates as PEM, leaf first; set once by the signer."),
    notBefore: optional(4, TIME, "When the leaf becomes valid, as it says itself."),
    beginRefreshAt: optional(5, TIME, "When the kubelet should request the next certificate."),
    notAfter: optional(6, TIME, "When the leaf expires, as it says itself."),
  },
);

export const podCertificateRequestKind: Kind = kind<PodCertificateRequest>(
  "PodCertificateRequest",
  namespaced(),
  "Asks a signer for a certificate of a pod. Kubelets make such requests for podCertificate volumes.",
  {
    spec: required(
      2,
      podCertificateRequestSpec,
      "The requested certificate, and the pod that will have it. Cannot change after creation.",
    ),
    status: always(3, podCertificateRequestStatus, "The decision, and the certificates once issued."),
  },
);
