/** The kinds of the group `tlsboot`: issued certificates, revocations, records of requests, and the rotation of CAs. */
import type { Kind, MessageSchema, ObjectSchema } from "../schema.ts";
import { CA_ROTATION_STEPS, REVOCATION_REASONS, TLSBOOT_GROUP } from "../tlsboot_v1alpha1.ts";
import { BOOL, BYTES, INT64, list, mergedBy, message, STRING, TIME } from "./fields.ts";
import { METADATA } from "./object_meta.ts";

const issuedCertificateSchema: ObjectSchema = {
  name: "tlsboot.v1alpha1.IssuedCertificate",
  description:
    "Records one certificate that was issued. The records form a chain: each holds the hash of the one before it.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => issuedCertificateSpecSchema),
      presence: "always",
      required: true,
      description: "The certificate, its request and its approval. Cannot change.",
    },
    status: {
      number: 3,
      type: message(() => issuedCertificateStatusSchema),
      presence: "always",
      description: "The user that the certificate identifies, its revocation, and the seal of the register.",
    },
  },
};

/** Describes the kind `IssuedCertificate` of `tlsboot/v1alpha1` for all codecs. */
export const issuedCertificateKind: Kind = {
  group: TLSBOOT_GROUP,
  version: "v1alpha1",
  kind: "IssuedCertificate",
  listKind: "IssuedCertificateList",
  plural: "issuedcertificates",
  singular: "issuedcertificate",
  shortNames: ["ic"],
  categories: [],
  namespaced: false,
  schema: issuedCertificateSchema,
};

const issuedCertificateSpecSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.IssuedCertificateSpec",
  description: "One issued certificate.",
  fields: {
    sequence: { number: 1, type: INT64, presence: "always", description: "Position in the register, from 1." },
    previousHash: {
      number: 2,
      type: STRING,
      presence: "omitempty",
      description: "SHA-256 of the spec of the previous record, in hex.",
    },
    serialNumber: { number: 3, type: STRING, presence: "omitempty", description: "Serial number in hex." },
    fingerprint: {
      number: 4,
      type: STRING,
      presence: "omitempty",
      description: "SHA-256 of the certificate in DER, in hex.",
    },
    issuer: { number: 5, type: STRING, presence: "omitempty", description: "Name of the issuing CA." },
    issuerFingerprint: {
      number: 6,
      type: STRING,
      presence: "omitempty",
      description: "SHA-256 of the certificate of the issuing CA, in hex.",
    },
    signerName: {
      number: 7,
      type: STRING,
      presence: "omitempty",
      description: "Signer that was requested; empty for certificates without a request.",
    },
    subject: { number: 8, type: STRING, presence: "omitempty", description: "Subject of the certificate." },
    dnsNames: {
      number: 9,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "DNS names in the certificate.",
    },
    ipAddresses: {
      number: 10,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "IP addresses in the certificate.",
    },
    emailAddresses: {
      number: 11,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Email addresses in the certificate.",
    },
    uris: {
      number: 12,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "URIs in the certificate.",
    },
    usages: {
      number: 13,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Key usages of the certificate.",
    },
    isCA: { number: 14, type: BOOL, presence: "omitempty", description: "True for the certificate of a CA." },
    publicKeyFingerprint: {
      number: 15,
      type: STRING,
      presence: "omitempty",
      description: "SHA-256 of the public key (SubjectPublicKeyInfo) in DER, in hex.",
    },
    notBefore: { number: 16, type: TIME, presence: "always", description: "Start of validity." },
    notAfter: { number: 17, type: TIME, presence: "always", description: "End of validity." },
    issuedAt: { number: 18, type: TIME, presence: "always", description: "When the certificate was recorded." },
    source: {
      number: 19,
      type: STRING,
      presence: "omitempty",
      description: "Origin of the certificate: a request, a command, the server itself or a migration.",
    },
    request: {
      number: 20,
      type: message(() => issuedCertificateRequestSchema),
      presence: "optional",
      description: "The CertificateSigningRequest.",
    },
    requester: {
      number: 21,
      type: message(() => issuedCertificateRequesterSchema),
      presence: "optional",
      description: "The user that requested the certificate.",
    },
    approval: {
      number: 22,
      type: message(() => issuedCertificateApprovalSchema),
      presence: "optional",
      description: "The approval of the request.",
    },
    replaces: {
      number: 23,
      type: STRING,
      presence: "omitempty",
      description: "Name of the record of the certificate that this one replaces.",
    },
    removed: {
      number: 24,
      type: message(() => removedRecordsSchema),
      presence: "optional",
      description: "Set when this record stands for a run of removed records.",
    },
  },
};

const issuedCertificateRequestSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.IssuedCertificateRequest",
  description: "Name and uid of the request of a certificate.",
  fields: {
    name: { number: 1, type: STRING, presence: "omitempty", description: "Name of the request." },
    uid: { number: 2, type: STRING, presence: "omitempty", description: "Uid of the request." },
  },
};

const issuedCertificateRequesterSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.IssuedCertificateRequester",
  description: "The user that requested a certificate.",
  fields: {
    username: { number: 1, type: STRING, presence: "omitempty", description: "Name of the user." },
    uid: { number: 2, type: STRING, presence: "omitempty", description: "Identifier of the user." },
    groups: {
      number: 3,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Groups of the user.",
    },
    tokenID: {
      number: 4,
      type: STRING,
      presence: "omitempty",
      description: "Identifier of the bootstrap token of the user.",
    },
    address: { number: 5, type: STRING, presence: "omitempty", description: "IP address from which the request came." },
    userAgent: { number: 6, type: STRING, presence: "omitempty", description: "User-Agent header of the request." },
    certificateFingerprint: {
      number: 7,
      type: STRING,
      presence: "omitempty",
      description: "SHA-256 of the client certificate of the user, in hex.",
    },
  },
};

const issuedCertificateApprovalSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.IssuedCertificateApproval",
  description: "The approval of a request.",
  fields: {
    username: { number: 1, type: STRING, presence: "omitempty", description: "User that approved the request." },
    groups: {
      number: 2,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Groups of that user.",
    },
    address: {
      number: 3,
      type: STRING,
      presence: "omitempty",
      description: "IP address from which the approval came.",
    },
    reason: { number: 4, type: STRING, presence: "omitempty", description: "Reason of the approval." },
    message: {
      number: 5,
      type: STRING,
      presence: "omitempty",
      description: "Message of the approval, which names policy and rule.",
    },
    time: { number: 6, type: TIME, presence: "always", description: "When the request was approved." },
  },
};

const removedRecordsSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.RemovedRecords",
  description: "A run of records that were removed after their retention.",
  fields: {
    from: { number: 1, type: INT64, presence: "always", description: "Sequence number of the first removed record." },
    hash: {
      number: 2,
      type: STRING,
      presence: "always",
      description: "SHA-256 of the spec of the last removed record, in hex.",
    },
    time: { number: 3, type: TIME, presence: "always", description: "When the records were removed." },
  },
};

const issuedCertificateStatusSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.IssuedCertificateStatus",
  description: "The part of a record that its hash does not cover.",
  fields: {
    identifies: {
      number: 4,
      type: message(() => recordedIdentitySchema),
      presence: "optional",
      description: "The user that the certificate identifies. Absent in records of earlier versions.",
    },
    revocation: {
      number: 1,
      type: message(() => certificateRevocationSchema),
      presence: "optional",
      description: "The revocation of the certificate.",
    },
    seal: {
      number: 2,
      type: message(() => registerSealSchema),
      presence: "optional",
      description: "The signature of a CA over the register up to this record.",
    },
    recovery: {
      number: 3,
      type: message(() => nodeRecoveryBindingSchema),
      presence: "optional",
      description: "The key for which a node requested its next certificate with this one, which had expired.",
    },
  },
};

const recordedIdentitySchema: MessageSchema = {
  name: "tlsboot.v1alpha1.RecordedIdentity",
  description: "The user that a certificate identifies. Without a user name, it identifies none.",
  fields: {
    username: { number: 1, type: STRING, presence: "omitempty", description: "Name of the user." },
    groups: {
      number: 2,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Groups of the user.",
    },
  },
};

const certificateRevocationSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.CertificateRevocation",
  description: "The revocation that covers a certificate.",
  fields: {
    name: { number: 1, type: STRING, presence: "always", description: "Name of the Revocation." },
    reason: { number: 2, type: STRING, presence: "always", description: "Reason as in RFC 5280." },
    message: { number: 3, type: STRING, presence: "omitempty", description: "Explanation in words." },
    revokedBy: { number: 4, type: STRING, presence: "omitempty", description: "User that revoked it." },
    time: { number: 5, type: TIME, presence: "always", description: "When it was revoked." },
  },
};

const nodeRecoveryBindingSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.NodeRecoveryBinding",
  description: "The one key that an expired certificate may still obtain a certificate for.",
  fields: {
    publicKeyFingerprint: {
      number: 1,
      type: STRING,
      presence: "always",
      description: "SHA-256 of the public key (SubjectPublicKeyInfo) in DER, in hex.",
    },
    address: {
      number: 2,
      type: STRING,
      presence: "omitempty",
      description: "IP address from which the request came.",
    },
    time: { number: 3, type: TIME, presence: "always", description: "When the key was bound." },
  },
};

const registerSealSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.RegisterSeal",
  description: "A signature over the hash of a record.",
  fields: {
    time: { number: 1, type: TIME, presence: "always", description: "When the register was sealed." },
    issuerFingerprint: {
      number: 2,
      type: STRING,
      presence: "always",
      description: "SHA-256 of the certificate of the signing CA, in hex.",
    },
    algorithm: { number: 3, type: STRING, presence: "always", description: "Signature algorithm." },
    signature: { number: 4, type: BYTES, presence: "always", description: "The signature." },
  },
};

const revocationSchema: ObjectSchema = {
  name: "tlsboot.v1alpha1.Revocation",
  description: "Refuses a certificate, a node, a user, a group or a token from now on.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => revocationSpecSchema),
      presence: "always",
      required: true,
      description: "What is revoked and why. Cannot change after creation.",
    },
    status: {
      number: 3,
      type: message(() => revocationStatusSchema),
      presence: "always",
      description: "The user and the time of the revocation; filled by the server.",
    },
  },
};

/** Describes the kind `Revocation` of `tlsboot/v1alpha1` for all codecs. */
export const revocationKind: Kind = {
  group: TLSBOOT_GROUP,
  version: "v1alpha1",
  kind: "Revocation",
  listKind: "RevocationList",
  plural: "revocations",
  singular: "revocation",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: revocationSchema,
};

const revocationSpecSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.RevocationSpec",
  description: "What is revoked, exactly one of the first five, and why.",
  fields: {
    serialNumber: {
      number: 1,
      type: STRING,
      presence: "omitempty",
      description: "Serial number of a certificate, in hex.",
    },
    node: { number: 2, type: STRING, presence: "omitempty", description: "Name of a node." },
    user: { number: 3, type: STRING, presence: "omitempty", description: "Name of a user." },
    group: { number: 4, type: STRING, presence: "omitempty", description: "Name of a group." },
    token: { number: 5, type: STRING, presence: "omitempty", description: "Identifier of a bootstrap token." },
    includeCertificates: {
      number: 6,
      type: BOOL,
      presence: "omitempty",
      description: "With a token: also the certificates that were requested with it.",
    },
    reason: {
      number: 7,
      type: STRING,
      presence: "always",
      required: true,
      enum: REVOCATION_REASONS,
      description: "Reason as in RFC 5280.",
    },
    message: { number: 8, type: STRING, presence: "omitempty", description: "Explanation in words." },
  },
};

const revocationStatusSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.RevocationStatus",
  description: "The user and the time of a revocation.",
  fields: {
    revokedBy: { number: 1, type: STRING, presence: "omitempty", description: "User that revoked it." },
    revokedByGroups: {
      number: 2,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Groups of that user.",
    },
    time: { number: 3, type: TIME, presence: "always", description: "When it was revoked." },
    lastSequence: {
      number: 4,
      type: INT64,
      presence: "omitempty",
      description: "Sequence number of the last record of the register at that time.",
    },
  },
};

const requestRecordSchema: ObjectSchema = {
  name: "tlsboot.v1alpha1.RequestRecord",
  description: "Records what the server knows about a CertificateSigningRequest of the same name beyond the request.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => requestRecordSpecSchema),
      presence: "always",
      required: true,
      description: "Where the request came from.",
    },
    status: {
      number: 3,
      type: message(() => requestRecordStatusSchema),
      presence: "always",
      description: "The decision about the request.",
    },
  },
};

/** Describes the kind `RequestRecord` of `tlsboot/v1alpha1` for all codecs. */
export const requestRecordKind: Kind = {
  group: TLSBOOT_GROUP,
  version: "v1alpha1",
  kind: "RequestRecord",
  listKind: "RequestRecordList",
  plural: "requestrecords",
  singular: "requestrecord",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: requestRecordSchema,
};

const requestRecordSpecSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.RequestRecordSpec",
  description: "The origin of a request.",
  fields: {
    requestUID: { number: 1, type: STRING, presence: "always", description: "Uid of the CertificateSigningRequest." },
    address: { number: 2, type: STRING, presence: "omitempty", description: "IP address from which the request came." },
    userAgent: { number: 3, type: STRING, presence: "omitempty", description: "User-Agent header of the request." },
  },
};

const requestRecordStatusSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.RequestRecordStatus",
  description: "The decision about a request.",
  fields: {
    decision: {
      number: 1,
      type: message(() => requestDecisionSchema),
      presence: "optional",
      description: "The decision and its user.",
    },
  },
};

const requestDecisionSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.RequestDecision",
  description: "The decision about a request and its user.",
  fields: {
    type: { number: 1, type: STRING, presence: "always", description: "Approved or Denied." },
    username: { number: 2, type: STRING, presence: "always", description: "User that decided." },
    groups: {
      number: 3,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Groups of that user.",
    },
    address: {
      number: 4,
      type: STRING,
      presence: "omitempty",
      description: "IP address from which the decision came.",
    },
    time: { number: 5, type: TIME, presence: "always", description: "When it was decided." },
  },
};

const caRotationSchema: ObjectSchema = {
  name: "tlsboot.v1alpha1.CARotation",
  description: "Replaces a CA of the installation. It has the name of the CA's file, such as ca.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => caRotationSpecSchema),
      presence: "always",
      required: true,
      description: "The two CAs, which cannot change, and the requested step.",
    },
    status: {
      number: 3,
      type: message(() => caRotationStatusSchema),
      presence: "always",
      description: "The progress of the servers.",
    },
  },
};

/** Describes the kind `CARotation` of `tlsboot/v1alpha1` for all codecs. */
export const caRotationKind: Kind = {
  group: TLSBOOT_GROUP,
  version: "v1alpha1",
  kind: "CARotation",
  listKind: "CARotationList",
  plural: "carotations",
  singular: "carotation",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: caRotationSchema,
};

const caRotationSpecSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.CARotationSpec",
  description: "The two CAs and the requested step.",
  fields: {
    step: {
      number: 1,
      type: STRING,
      presence: "always",
      required: true,
      enum: CA_ROTATION_STEPS,
      description: "Requested step: the old CA signs, the new CA signs, or the old CA is trusted nowhere.",
    },
    isLeaked: {
      number: 2,
      type: BOOL,
      presence: "omitempty",
      description: "True when the old key has leaked; certificates of the old CA are then refused at once.",
    },
    oldCA: { number: 3, type: STRING, presence: "always", required: true, description: "The old CA as PEM." },
    newCA: { number: 4, type: STRING, presence: "always", required: true, description: "The new CA as PEM." },
    crossSignedCA: {
      number: 5,
      type: STRING,
      presence: "omitempty",
      description: "The new CA, signed by the old one, as PEM.",
    },
    renewFrom: {
      number: 6,
      type: TIME,
      presence: "optional",
      description: "When clients begin to renew certificates of the retiring CA.",
    },
    renewBy: {
      number: 7,
      type: TIME,
      presence: "optional",
      description: "When the last client renews its certificate of the retiring CA.",
    },
    leftBehind: {
      number: 8,
      type: list(STRING),
      presence: "omitempty",
      listType: "set",
      description: "Nodes and users that may lose access.",
    },
  },
};

const caRotationStatusSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.CARotationStatus",
  description: "The progress of a rotation.",
  fields: {
    servers: {
      number: 1,
      type: list(message(() => caRotationServerSchema)),
      presence: "omitempty",
      description: "The progress of each server.",
      ...mergedBy("name"),
    },
    beganAt: { number: 2, type: TIME, presence: "always", description: "When the rotation began." },
    switchedAt: { number: 3, type: TIME, presence: "optional", description: "When the new CA began to sign." },
    finishedAt: { number: 4, type: TIME, presence: "optional", description: "When the old CA lost all trust." },
  },
};

const caRotationServerSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.CARotationServer",
  description: "The progress of one server.",
  fields: {
    name: { number: 1, type: STRING, presence: "always", required: true, description: "Name of the server." },
    step: { number: 2, type: STRING, presence: "always", description: "Step that the server has adopted." },
    message: { number: 3, type: STRING, presence: "omitempty", description: "Why it has not adopted the next step." },
    time: { number: 4, type: TIME, presence: "always", description: "When the server wrote this." },
  },
};

const trustReportSchema: ObjectSchema = {
  name: "tlsboot.v1alpha1.TrustReport",
  description:
    "Reports which CAs a user trusts. The server names it after the user; a new report replaces the old one.",
  fields: {
    metadata: METADATA,
    spec: {
      number: 2,
      type: message(() => trustReportSpecSchema),
      presence: "always",
      required: true,
      description: "What the user reports.",
    },
    status: {
      number: 3,
      type: message(() => trustReportStatusSchema),
      presence: "always",
      description: "What the server knows about the user; filled by the server.",
    },
  },
};

/** Describes the kind `TrustReport` of `tlsboot/v1alpha1` for all codecs. */
export const trustReportKind: Kind = {
  group: TLSBOOT_GROUP,
  version: "v1alpha1",
  kind: "TrustReport",
  listKind: "TrustReportList",
  plural: "trustreports",
  singular: "trustreport",
  shortNames: [],
  categories: [],
  namespaced: false,
  schema: trustReportSchema,
};

const trustReportSpecSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.TrustReportSpec",
  description: "The CAs that a user trusts.",
  fields: {
    trusted: {
      number: 1,
      type: list(STRING),
      presence: "omitempty",
      listType: "set",
      description: "SHA-256 of each trusted CA certificate, in hex.",
    },
  },
};

const trustReportStatusSchema: MessageSchema = {
  name: "tlsboot.v1alpha1.TrustReportStatus",
  description: "What the server knows about a user.",
  fields: {
    username: { number: 1, type: STRING, presence: "always", description: "Name of the user." },
    reportedAt: { number: 2, type: TIME, presence: "optional", description: "When the user last reported." },
    issuer: {
      number: 3,
      type: STRING,
      presence: "omitempty",
      description: "SHA-256 of the CA of the user's client certificate, in hex.",
    },
    serialNumber: {
      number: 4,
      type: STRING,
      presence: "omitempty",
      description: "Serial number of that certificate, in hex.",
    },
    lastSeen: { number: 5, type: TIME, presence: "optional", description: "When the user was last seen with it." },
  },
};
