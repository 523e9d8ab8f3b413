/** The kinds of `certificates.k8s.io/v1` (staging `k8s.io/api/certificates/v1/types.go`). */
import { CERTIFICATES_GROUP, KEY_USAGES } from "../certificates_v1.ts";
import type { FieldSchema, Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { BYTES, INT32, list, map, mergedBy, message, STRING, TIME } from "./fields.ts";
import { conditionSchema } from "./meta_v1.ts";
import { METADATA } from "./object_meta.ts";

const certificateSigningRequestSchema: ObjectSchema = {
  name: "io.k8s.api.certificates.v1.CertificateSigningRequest",
  description:
    "Asks a signer for an X.509 certificate; an approver allows it, the signer puts the certificate into status.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => certificateSigningRequestSpecSchema),
      presence: "always",
      required: true,
      description: "The requested certificate and the requester. Cannot change after creation.",
    },
    status: {
      number: 3,
      type: message(() => certificateSigningRequestStatusSchema),
      presence: "always",
      description: "Whether the request was approved or denied, and the certificate once issued.",
    },
  },
};

/** Describes the kind `CertificateSigningRequest` of `certificates.k8s.io/v1` for all codecs. */
export const certificateSigningRequestKind: Kind = {
  group: CERTIFICATES_GROUP,
  version: "v1",
  kind: "CertificateSigningRequest",
  listKind: "CertificateSigningRequestList",
  plural: "certificatesigningrequests",
  singular: "certificatesigningrequest",
  shortNames: ["csr"],
  categories: [],
  namespaced: false,
  schema: certificateSigningRequestSchema,
};

const clusterTrustBundleSchema: ObjectSchema = {
  name: "io.k8s.api.certificates.v1.ClusterTrustBundle",
  description: "Holds the root certificates that verify the certificates of a signer, or of any other issuer.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => clusterTrustBundleSpecSchema),
      presence: "always",
      required: true,
      description: "The certificates, and their signer if there is one.",
    },
  },
};

/** Describes the kind `ClusterTrustBundle` of `certificates.k8s.io/v1` for all codecs. */
export const clusterTrustBundleKind: Kind = {
  group: CERTIFICATES_GROUP,
  version: "v1",
  kind: "ClusterTrustBundle",
  listKind: "ClusterTrustBundleList",
  plural: "clustertrustbundles",
  singular: "clustertrustbundle",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: clusterTrustBundleSchema,
};

const certificateSigningRequestSpecSchema: MessageSchema = {
  name: "io.k8s.api.certificates.v1.CertificateSigningRequestSpec",
  description: "The request and its requester.",
  fields: {
    request: {
      number: 1,
      type: BYTES,
      presence: "always",
      required: true,
      description: "A PKCS#10 request as one PEM block named CERTIFICATE REQUEST.",
    },
    signerName: {
      number: 7,
      type: STRING,
      presence: "always",
      required: true,
      description: "Signer that should handle the request, written domain/path.",
    },
    expirationSeconds: {
      number: 8,
      type: INT32,
      presence: "optional",
      description: "Life the certificate should have, at least 600; the signer may choose otherwise.",
    },
    usages: {
      number: 5,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      goType: "[]v1.KeyUsage",
      enum: KEY_USAGES,
      description: "Key usages the certificate should have.",
    },
    username: {
      number: 2,
      type: STRING,
      presence: "omitempty",
      description: "User who made the request; filled by the server.",
    },
    uid: {
      number: 3,
      type: STRING,
      presence: "omitempty",
      description: "Identifier of that user; filled by the server.",
    },
    groups: {
      number: 4,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Groups of that user; filled by the server.",
    },
    extra: {
      number: 6,
      type: map(list(STRING)),
      presence: "omitempty",
      goType: "map[string]v1.ExtraValue",
      description: "Further attributes of that user; filled by the server.",
    },
  },
};

const clusterTrustBundleSpecSchema: MessageSchema = {
  name: "io.k8s.api.certificates.v1.ClusterTrustBundleSpec",
  description: "The certificates of a bundle, and their signer if there is one.",
  fields: {
    signerName: {
      number: 1,
      type: STRING,
      presence: "omitempty",
      description: "Signer of the certificates, written domain/path. Writing the bundle needs the right to attest " +
        "for it, and the name of the bundle starts with it, with a colon for the slash. Cannot change after creation.",
    },
    trustBundle: {
      number: 2,
      type: STRING,
      presence: "always",
      required: true,
      description: "Certificates of CAs as PEM blocks named CERTIFICATE, without headers, none of them twice.",
    },
  },
};

const certificateSigningRequestStatusSchema: MessageSchema = {
  name: "io.k8s.api.certificates.v1.CertificateSigningRequestStatus",
  description: "Decision and result.",
  fields: {
    conditions: {
      number: 1,
      type: list(message(() => certificateSigningRequestConditionSchema)),
      presence: "omitempty",
      listType: "map",
      listMapKeys: ["type"],
      description: "Approved, Denied and Failed, and what signers add of their own.",
    },
    certificate: {
      number: 2,
      type: BYTES,
      presence: "omitempty",
      description: "The certificate as PEM, leaf first; set once by the signer.",
    },
  },
};

const certificateSigningRequestConditionSchema: MessageSchema = {
  name: "io.k8s.api.certificates.v1.CertificateSigningRequestCondition",
  description: "One condition of a request.",
  fields: {
    type: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.RequestConditionType",
      description: "Approved, Denied, Failed, or a name of a signer's own.",
    },
    status: {
      number: 6,
      type: STRING,
      presence: "always",
      required: true,
      goType: "v1.ConditionStatus",
      description: "True, False or Unknown.",
    },
    reason: { number: 2, type: STRING, presence: "omitempty", description: "Short machine-readable cause." },
    message: { number: 3, type: STRING, presence: "omitempty", description: "The cause in words." },
    lastUpdateTime: { number: 4, type: TIME, presence: "always", description: "When the condition was last written." },
    lastTransitionTime: {
      number: 5,
      type: TIME,
      presence: "always",
      description: "When the condition last changed its status.",
    },
  },
};

const podCertificateRequestSchema: ObjectSchema = {
  name: "io.k8s.api.certificates.v1.PodCertificateRequest",
  description: "Asks a signer for a certificate of a pod. Kubelets make such requests for podCertificate volumes.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => podCertificateRequestSpecSchema),
      presence: "always",
      required: true,
      description: "The requested certificate, and the pod that will have it. Cannot change after creation.",
    },
    status: {
      number: 3,
      type: message(() => podCertificateRequestStatusSchema),
      presence: "always",
      description: "The decision, and the certificates once issued.",
    },
  },
};

/** Describes the kind `PodCertificateRequest` of `certificates.k8s.io/v1` for all codecs. */
export const podCertificateRequestKind: Kind = {
  group: CERTIFICATES_GROUP,
  version: "v1",
  kind: "PodCertificateRequest",
  listKind: "PodCertificateRequestList",
  plural: "podcertificaterequests",
  singular: "podcertificaterequest",
  shortNames: [],
  categories: [],
  namespaced: true,
  schema: podCertificateRequestSchema,
};

/** Describes a required field that identifies the pod, its service account or its node. */
function identity(number: number, description: string, goType?: string): FieldSchema {
  return {
    number,
    type: STRING,
    presence: "always",
    required: true,
    description,
    ...(goType === undefined ? {} : { goType }),
  };
}

const podCertificateRequestSpecSchema: MessageSchema = {
  name: "io.k8s.api.certificates.v1.PodCertificateRequestSpec",
  description: "The requested certificate, and the pod that will have it.",
  fields: {
    signerName: identity(1, "Signer that should handle the request, written domain/path."),
    podName: identity(2, "Name of the pod that will have the certificate."),
    podUID: identity(3, "UID of that pod.", "types.UID"),
    serviceAccountName: identity(4, "Name of the service account that the pod runs as."),
    serviceAccountUID: identity(5, "UID of that service account.", "types.UID"),
    nodeName: identity(6, "Name of the node that the pod runs on.", "types.NodeName"),
    nodeUID: identity(7, "UID of that node.", "types.UID"),
    maxExpirationSeconds: {
      number: 8,
      type: INT32,
      presence: "optional",
      default: 86400,
      description: "The longest lifetime that the certificate may have, from 3600 to 7862400; 86400 when absent.",
    },
    stubPKCS10Request: {
      number: 12,
      type: BYTES,
      presence: "always",
      required: true,
      description:
        "A PKCS#10 request in DER, signed by the key of the pod: RSA 3072 or 4096, P-256, P-384, P-521, or Ed25519.",
    },
    unverifiedUserAnnotations: {
      number: 11,
      type: map(STRING),
      presence: "omitempty",
      description: "Requests of the author of the pod to the signer, not verified; each key has a domain.",
    },
  },
};

const podCertificateRequestStatusSchema: MessageSchema = {
  name: "io.k8s.api.certificates.v1.PodCertificateRequestStatus",
  description: "The decision, and the certificates once issued.",
  fields: {
    conditions: {
      number: 1,
      type: list(message(() => conditionSchema)),
      presence: "omitempty",
      ...mergedBy("type"),
      description: "At most one condition: Issued, Denied or Failed, with the status True.",
    },
    certificateChain: {
      number: 2,
      type: STRING,
      presence: "omitempty",
      description: "The certificates as PEM, leaf first; set once by the signer.",
    },
    notBefore: {
      number: 4,
      type: TIME,
      presence: "optional",
      description: "When the leaf becomes valid, as it says itself.",
    },
    beginRefreshAt: {
      number: 5,
      type: TIME,
      presence: "optional",
      description: "When the kubelet should request the next certificate.",
    },
    notAfter: { number: 6, type: TIME, presence: "optional", description: "When the leaf expires, as it says itself." },
  },
};
