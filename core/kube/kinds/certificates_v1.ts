/** The kinds of `certificates.k8s.io/v1` (staging `k8s.io/api/certificates/v1/types.go`). */
import { CERTIFICATES_GROUP, KEY_USAGES } from "../certificates_v1.ts";
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { BYTES, INT32, list, map, message, STRING, TIME } from "./fields.ts";
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
