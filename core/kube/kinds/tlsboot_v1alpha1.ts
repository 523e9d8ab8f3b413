/** The kinds of the group `tlsboot`: issued certificates, revocations, records of requests, and the rotation of CAs. */
import {
  CA_ROTATION_STEPS,
  type CaRotation,
  type CaRotationServer,
  type CaRotationSpec,
  type CaRotationStatus,
  type CertificateRevocation,
  type IssuedCertificate,
  type IssuedCertificateApproval,
  type IssuedCertificateRequester,
  type IssuedCertificateSpec,
  type IssuedCertificateStatus,
  type NodeRecoveryBinding,
  type RecordedIdentity,
  type RegisterSeal,
  type RemovedRecords,
  type RequestDecision,
  type RequestRecord,
  type RequestRecordSpec,
  type RequestRecordStatus,
  type Revocation,
  REVOCATION_REASONS,
  type RevocationSpec,
  type RevocationStatus,
  TLSBOOT_GROUP,
  type TrustReport,
  type TrustReportSpec,
  type TrustReportStatus,
} from "../tlsboot_v1alpha1.ts";
import type { Kind } from "../schema.ts";
import { clusterWide, describeVersion } from "./kind.ts";
import {
  always,
  atomic,
  BOOL,
  BYTES,
  enumerated,
  INT64,
  mergedBy,
  omitempty,
  optional,
  required,
  set,
  STRING,
  TIME,
} from "./notation.ts";

const { kind, message } = describeVersion(TLSBOOT_GROUP, "v1alpha1", "tlsboot.v1alpha1");

const issuedCertificateRequest = message("IssuedCertificateRequest", "Name and uid of the request of a certificate.", {
  name: omitempty(1, STRING, "Name of the request."),
  uid: omitempty(2, STRING, "Uid of the request."),
});

const issuedCertificateRequester = message<IssuedCertificateRequester>(
  "IssuedCertificateRequester",
  "The user that requested a certificate.",
  {
    username: omitempty(1, STRING, "Name of the user."),
    uid: omitempty(2, STRING, "Identifier of the user."),
    groups: omitempty(3, atomic(STRING), "Groups of the user."),
    tokenID: omitempty(4, STRING, "Identifier of the bootstrap token of the user."),
    address: omitempty(5, STRING, "IP address from which the request came."),
    userAgent: omitempty(6, STRING, "User-Agent header of the request."),
    certificateFingerprint: omitempty(7, STRING, "SHA-256 of the client certificate of the user, in hex."),
  },
);

const issuedCertificateApproval = message<IssuedCertificateApproval>(
  "IssuedCertificateApproval",
  "The approval of a request.",
  {
    username: omitempty(1, STRING, "User that approved the request."),
    groups: omitempty(2, atomic(STRING), "Groups of that user."),
    address: omitempty(3, STRING, "IP address from which the approval came."),
    reason: omitempty(4, STRING, "Reason of the approval."),
    message: omitempty(5, STRING, "Message of the approval, which names policy and rule."),
    time: always(6, TIME, "When the request was approved."),
  },
);

const removedRecords = message<RemovedRecords>(
  "RemovedRecords",
  "A run of records that were removed after their retention.",
  {
    from: always(1, INT64, "Sequence number of the first removed record."),
    hash: always(2, STRING, "SHA-256 of the spec of the last removed record, in hex."),
    time: always(3, TIME, "When the records were removed."),
  },
);

const issuedCertificateSpec = message<IssuedCertificateSpec>("IssuedCertificateSpec", "One issued certificate.", {
  sequence: always(1, INT64, "Position in the register, from 1."),
  previousHash: omitempty(2, STRING, "SHA-256 of the spec of the previous record, in hex."),
  serialNumber: omitempty(3, STRING, "Serial number in hex."),
  fingerprint: omitempty(4, STRING, "SHA-256 of the certificate in DER, in hex."),
  issuer: omitempty(5, STRING, "Name of the issuing CA."),
  issuerFingerprint: omitempty(6, STRING, "SHA-256 of the certificate of the issuing CA, in hex."),
  signerName: omitempty(7, STRING, "Signer that was requested; empty for certificates without a request."),
  subject: omitempty(8, STRING, "Subject of the certificate."),
  dnsNames: omitempty(9, atomic(STRING), "DNS names in the certificate."),
  ipAddresses: omitempty(10, atomic(STRING), "IP addresses in the certificate."),
  emailAddresses: omitempty(11, atomic(STRING), "Email addresses in the certificate."),
  uris: omitempty(12, atomic(STRING), "URIs in the certificate."),
  usages: omitempty(13, atomic(STRING), "Key usages of the certificate."),
  isCA: omitempty(14, BOOL, "True for the certificate of a CA."),
  publicKeyFingerprint: omitempty(15, STRING, "SHA-256 of the public key (SubjectPublicKeyInfo) in DER, in hex."),
  notBefore: always(16, TIME, "Start of validity."),
  notAfter: always(17, TIME, "End of validity."),
  issuedAt: always(18, TIME, "When the certificate was recorded."),
  source: omitempty(19, STRING, "Origin of the certificate: a request, a command, the server itself or a migration."),
  request: optional(20, issuedCertificateRequest, "The CertificateSigningRequest."),
  requester: optional(21, issuedCertificateRequester, "The user that requested the certificate."),
  approval: optional(22, issuedCertificateApproval, "The approval of the request."),
  replaces: omitempty(23, STRING, "Name of the record of the certificate that this one replaces."),
  removed: optional(24, removedRecords, "Set when this record stands for a run of removed records."),
});

const recordedIdentity = message<RecordedIdentity>(
  "RecordedIdentity",
  "The user that a certificate identifies. Without a user name, it identifies none.",
  {
    username: omitempty(1, STRING, "Name of the user."),
    groups: omitempty(2, atomic(STRING), "Groups of the user."),
  },
);

const certificateRevocation = message<CertificateRevocation>(
  "CertificateRevocation",
  "The revocation that covers a certificate.",
  {
    name: always(1, STRING, "Name of the Revocation."),
    reason: always(2, STRING, "Reason as in RFC 5280."),
    message: omitempty(3, STRING, "Explanation in words."),
    revokedBy: omitempty(4, STRING, "User that revoked it."),
    time: always(5, TIME, "When it was revoked."),
  },
);

const registerSeal = message<RegisterSeal>("RegisterSeal", "A signature over the hash of a record.", {
  time: always(1, TIME, "When the register was sealed."),
  issuerFingerprint: always(2, STRING, "SHA-256 of the certificate of the signing CA, in hex."),
  algorithm: always(3, STRING, "Signature algorithm."),
  signature: always(4, BYTES, "The signature."),
});

const nodeRecoveryBinding = message<NodeRecoveryBinding>(
  "NodeRecoveryBinding",
  "The one key that an expired certificate may still obtain a certificate for.",
  {
    publicKeyFingerprint: always(1, STRING, "SHA-256 of the public key (SubjectPublicKeyInfo) in DER, in hex."),
    address: omitempty(2, STRING, "IP address from which the request came."),
    time: always(3, TIME, "When the key was bound."),
  },
);

const issuedCertificateStatus = message<IssuedCertificateStatus>(
  "IssuedCertificateStatus",
  "The part of a record that its hash does not cover.",
  {
    identifies: optional(
      4,
      recordedIdentity,
      "The user that the certificate identifies. Absent in records of earlier versions.",
    ),
    revocation: optional(1, certificateRevocation, "The revocation of the certificate."),
    seal: optional(2, registerSeal, "The signature of a CA over the register up to this record."),
    recovery: optional(
      3,
      nodeRecoveryBinding,
      "The key for which a node requested its next certificate with this one, which had expired.",
    ),
  },
);

export const issuedCertificateKind: Kind = kind<IssuedCertificate>(
  "IssuedCertificate",
  clusterWide("ic"),
  "Records one certificate that was issued. The records form a chain: each holds the hash of the one before it.",
  {
    spec: required(2, issuedCertificateSpec, "The certificate, its request and its approval. Cannot change."),
    status: always(
      3,
      issuedCertificateStatus,
      "The user that the certificate identifies, its revocation, and the seal of the register.",
    ),
  },
);

const revocationSpec = message<RevocationSpec>(
  "RevocationSpec",
  "What is revoked, exactly one of the first five, and why.",
  {
    serialNumber: omitempty(1, STRING, "Serial number of a certificate, in hex."),
    node: omitempty(2, STRING, "Name of a node."),
    user: omitempty(3, STRING, "Name of a user."),
    group: omitempty(4, STRING, "Name of a group."),
    token: omitempty(5, STRING, "Identifier of a bootstrap token."),
    includeCertificates: omitempty(6, BOOL, "With a token: also the certificates that were requested with it."),
    reason: required(7, enumerated(REVOCATION_REASONS), "Reason as in RFC 5280."),
    message: omitempty(8, STRING, "Explanation in words."),
  },
);

const revocationStatus = message<RevocationStatus>("RevocationStatus", "The user and the time of a revocation.", {
  revokedBy: omitempty(1, STRING, "User that revoked it."),
  revokedByGroups: omitempty(2, atomic(STRING), "Groups of that user."),
  time: always(3, TIME, "When it was revoked."),
  lastSequence: omitempty(4, INT64, "Sequence number of the last record of the register at that time."),
});

export const revocationKind: Kind = kind<Revocation>(
  "Revocation",
  clusterWide(),
  "Refuses a certificate, a node, a user, a group or a token from now on.",
  {
    spec: required(2, revocationSpec, "What is revoked and why. Cannot change after creation."),
    status: always(3, revocationStatus, "The user and the time of the revocation; filled by the server."),
  },
);

const requestRecordSpec = message<RequestRecordSpec>("RequestRecordSpec", "The origin of a request.", {
  requestUID: always(1, STRING, "Uid of the CertificateSigningRequest."),
  address: omitempty(2, STRING, "IP address from which the request came."),
  userAgent: omitempty(3, STRING, "User-Agent header of the request."),
});

const requestDecision = message<RequestDecision>("RequestDecision", "The decision about a request and its user.", {
  type: always(1, STRING, "Approved or Denied."),
  username: always(2, STRING, "User that decided."),
  groups: omitempty(3, atomic(STRING), "Groups of that user."),
  address: omitempty(4, STRING, "IP address from which the decision came."),
  time: always(5, TIME, "When it was decided."),
});

const requestRecordStatus = message<RequestRecordStatus>("RequestRecordStatus", "The decision about a request.", {
  decision: optional(1, requestDecision, "The decision and its user."),
});

export const requestRecordKind: Kind = kind<RequestRecord>(
  "RequestRecord",
  clusterWide(),
  "Records what the server knows about a CertificateSigningRequest of the same name beyond the request.",
  {
    spec: required(2, requestRecordSpec, "Where the request came from."),
    status: always(3, requestRecordStatus, "The decision about the request."),
  },
);

const caRotationSpec = message<CaRotationSpec>("CARotationSpec", "The two CAs and the requested step.", {
  step: required(
    1,
    enumerated(CA_ROTATION_STEPS),
    "Requested step: the old CA signs, the new CA signs, or the old CA is trusted nowhere.",
  ),
  isLeaked: omitempty(
    2,
    BOOL,
    "True when the old key has leaked; certificates of the old CA are then refused at once.",
  ),
  oldCA: required(3, STRING, "The old CA as PEM."),
  newCA: required(4, STRING, "The new CA as PEM."),
  crossSignedCA: omitempty(5, STRING, "The new CA, signed by the old one, as PEM."),
  renewFrom: optional(6, TIME, "When clients begin to renew certificates of the retiring CA."),
  renewBy: optional(7, TIME, "When the last client renews its certificate of the retiring CA."),
  leftBehind: omitempty(8, set(STRING), "Nodes and users that may lose access."),
});

const caRotationServer = message<CaRotationServer>("CARotationServer", "The progress of one server.", {
  name: required(1, STRING, "Name of the server."),
  step: always(2, STRING, "Step that the server has adopted."),
  message: omitempty(3, STRING, "Why it has not adopted the next step."),
  time: always(4, TIME, "When the server wrote this."),
});

const caRotationStatus = message<CaRotationStatus>("CARotationStatus", "The progress of a rotation.", {
  servers: omitempty(1, mergedBy("name", caRotationServer), "The progress of each server."),
  beganAt: always(2, TIME, "When the rotation began."),
  switchedAt: optional(3, TIME, "When the new CA began to sign."),
  finishedAt: optional(4, TIME, "When the old CA lost all trust."),
});

export const caRotationKind: Kind = kind<CaRotation>(
  "CARotation",
  clusterWide(),
  "Replaces a CA of the installation. It has the name of the CA's file, such as ca.",
  {
    spec: required(2, caRotationSpec, "The two CAs, which cannot change, and the requested step."),
    status: always(3, caRotationStatus, "The progress of the servers."),
  },
);

const trustReportSpec = message<TrustReportSpec>("TrustReportSpec", "The CAs that a user trusts.", {
  trusted: omitempty(1, set(STRING), "SHA-256 of each trusted CA certificate, in hex."),
});

const trustReportStatus = message<TrustReportStatus>("TrustReportStatus", "What the server knows about a user.", {
  username: always(1, STRING, "Name of the user."),
  reportedAt: optional(2, TIME, "When the user last reported."),
  issuer: omitempty(3, STRING, "SHA-256 of the CA of the user's client certificate, in hex."),
  serialNumber: omitempty(4, STRING, "Serial number of that certificate, in hex."),
  lastSeen: optional(5, TIME, "When the user was last seen with it."),
});

export const trustReportKind: Kind = kind<TrustReport>(
  "TrustReport",
  clusterWide(),
  "Reports which CAs a user trusts. The server names it after the user; a new report replaces the old one.",
  {
    spec: required(2, trustReportSpec, "What the user reports."),
    status: always(3, trustReportStatus, "What the server knows about the user; filled by the server."),
  },
);
