/**
 * The stored kinds of the group `tlsboot`: issued certificates, revocations, records of requests, and the rotation of CAs.
 */
import { CA_ROTATION_STEPS, REVOCATION_REASONS, TLSBOOT_GROUP } from "./constants.ts";
import type { KubeObject } from "../meta.ts";
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

/** The origin of a certificate: a request at an API, a command, or an earlier build's file. */
export type IssuedCertificateSource =
  | "CertificateSigningRequest"
  | "PodCertificateRequest"
  | "sign"
  | "kubeconfig"
  | "serving"
  | "ca"
  | "migration";

export type CaRotationStep = typeof CA_ROTATION_STEPS[number];

const { kind, message } = describeVersion(TLSBOOT_GROUP, "v1alpha1", "tlsboot.v1alpha1");

const request = message("IssuedCertificateRequest", "Name and uid of the request of a certificate.", {
  name: omitempty(1, STRING, "Name of the request."),
  uid: omitempty(2, STRING, "Uid of the request."),
});

/** The user that requested a certificate. */
export interface IssuedCertificateRequester {
  readonly username?: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  /**
   * The id of the bootstrap token that the user had. A renewal, which is requested with an earlier certificate, has the
   * token of that certificate.
   */
  readonly tokenID?: string;
  /** SHA-256 (hex) of the client certificate that the user had, in DER. */
  readonly certificateFingerprint?: string;
  /** The IP address from which the request was created. */
  readonly address?: string;
  readonly userAgent?: string;
  /** The proof for which the user got the bootstrap token of this request (`core/attestation/proof.ts`). */
  readonly attested?: string;
}

const requester = message<IssuedCertificateRequester>("IssuedCertificateRequester", "The user of a request.", {
  username: omitempty(1, STRING, "Name of the user."),
  uid: omitempty(2, STRING, "Identifier of the user."),
  groups: omitempty(3, atomic(STRING), "Groups of the user."),
  tokenID: omitempty(4, STRING, "Identifier of the bootstrap token of the user."),
  address: omitempty(5, STRING, "IP address from which the request came."),
  userAgent: omitempty(6, STRING, "User-Agent header of the request."),
  certificateFingerprint: omitempty(7, STRING, "SHA-256 of the client certificate of the user, in hex."),
  attested: omitempty(8, STRING, "What the user proved to get the bootstrap token: kind, key and time."),
});

/** The approval of a request. */
export interface IssuedCertificateApproval {
  /** The user that wrote the approval; absent when another API server stored it. */
  readonly username?: string;
  readonly groups?: readonly string[];
  readonly address?: string;
  /** The reason and the message of the condition, which contain the policy and the rule. */
  readonly reason?: string;
  readonly message?: string;
  readonly time: string | null;
}

const approval = message<IssuedCertificateApproval>("IssuedCertificateApproval", "The approval of a request.", {
  username: omitempty(1, STRING, "User that approved the request."),
  groups: omitempty(2, atomic(STRING), "Groups of that user."),
  address: omitempty(3, STRING, "IP address from which the approval came."),
  reason: omitempty(4, STRING, "Reason of the approval."),
  message: omitempty(5, STRING, "Message of the approval, with the policy and the rule."),
  time: always(6, TIME, "When the request was approved."),
});

/** A run of removed records, which ends at the sequence number of the stub. */
export interface RemovedRecords {
  /** The sequence number of the first removed record; `previousHash` of the stub is that record's. */
  readonly from: number;
  /** SHA-256 (hex) of the spec of the last removed record, which the next record holds. */
  readonly hash: string;
  readonly time: string | null;
}

const removedRecords = message<RemovedRecords>("RemovedRecords", "A run of records removed after their retention.", {
  from: always(1, INT64, "Sequence number of the first removed record."),
  hash: always(2, STRING, "SHA-256 of the spec of the last removed record, in hex."),
  time: always(3, TIME, "When the records were removed."),
});

/** The immutable part of a record; the next record holds its SHA-256. */
export interface IssuedCertificateSpec {
  /** The position in the register, from 1. */
  readonly sequence: number;
  /** SHA-256 (hex) of the previous record's spec (`hashRecord`); absent in the first record. */
  readonly previousHash?: string;
  /** The serial number in lower-case hex, without separators; may be absent in records of earlier builds. */
  readonly serialNumber?: string;
  /** SHA-256 (hex) of the certificate in DER. */
  readonly fingerprint?: string;
  /** The issuer's name as text. */
  readonly issuer?: string;
  /** SHA-256 (hex) of the issuing CA's certificate in DER. */
  readonly issuerFingerprint?: string;
  /** The signer that was requested; absent for certificates without a request. */
  readonly signerName?: string;
  /** The subject as text for people, such as `CN=system:node:n1,O=system:nodes`. */
  readonly subject?: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly emailAddresses?: readonly string[];
  readonly uris?: readonly string[];
  /** Key usages by their names in `certificates.k8s.io/v1`. */
  readonly usages?: readonly string[];
  readonly isCA?: boolean;
  /** SHA-256 (hex) of the SubjectPublicKeyInfo in DER. */
  readonly publicKeyFingerprint?: string;
  /** RFC 3339; `null` when unknown, as for the next two. */
  readonly notBefore: string | null;
  readonly notAfter: string | null;
  readonly issuedAt: string | null;
  readonly source?: IssuedCertificateSource;
  readonly request?: { readonly name?: string; readonly uid?: string };
  readonly requester?: IssuedCertificateRequester;
  readonly approval?: IssuedCertificateApproval;
  /** The name of the record of the certificate that this one replaces: the newest of the same signer and subject. */
  readonly replaces?: string;
  /** Set in a stub, which replaces a run of records that were removed after their retention. */
  readonly removed?: RemovedRecords;
}

const certificateSpec = message<IssuedCertificateSpec>("IssuedCertificateSpec", "One issued certificate.", {
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
  request: optional(20, request, "The CertificateSigningRequest."),
  requester: optional(21, requester, "The user that requested the certificate."),
  approval: optional(22, approval, "The approval of the request."),
  replaces: omitempty(23, STRING, "Name of the record of the certificate that this one replaces."),
  removed: optional(24, removedRecords, "Set when this record replaces a run of removed records."),
});

/** The user that a certificate identifies; without a user name, it identifies none. */
export interface RecordedIdentity {
  readonly username?: string;
  readonly groups?: readonly string[];
}

const recordedIdentity = message<RecordedIdentity>("RecordedIdentity", "The user that a certificate identifies.", {
  username: omitempty(1, STRING, "Name of the user."),
  groups: omitempty(2, atomic(STRING), "Groups of the user."),
});

/** The revocation that covers a certificate. */
export interface CertificateRevocation {
  /** The name of the Revocation. */
  readonly name: string;
  readonly reason: string;
  readonly message?: string;
  readonly revokedBy?: string;
  readonly time: string | null;
}

const revocation = message<CertificateRevocation>("CertificateRevocation", "The revocation of a certificate.", {
  name: always(1, STRING, "Name of the Revocation."),
  reason: always(2, STRING, "Reason as in RFC 5280."),
  message: omitempty(3, STRING, "Explanation in words."),
  revokedBy: omitempty(4, STRING, "User that revoked it."),
  time: always(5, TIME, "When it was revoked."),
});

/** A signature over the hash of a record (`core/register/record.ts`), and so over all records before it. */
export interface RegisterSeal {
  readonly time: string | null;
  /** SHA-256 (hex) of the CA certificate whose key signed. */
  readonly issuerFingerprint: string;
  /** The algorithm of the signature, such as `ECDSA-SHA256`. */
  readonly algorithm: string;
  /** The signature, as base64 text. */
  readonly signature: string;
}

const registerSeal = message<RegisterSeal>("RegisterSeal", "A signature over the hash of a record.", {
  time: always(1, TIME, "When the register was sealed."),
  issuerFingerprint: always(2, STRING, "SHA-256 of the certificate of the signing CA, in hex."),
  algorithm: always(3, STRING, "Signature algorithm."),
  signature: always(4, BYTES, "The signature."),
});

/** The only key for which the holder of an expired certificate may still obtain a certificate. */
export interface NodeRecoveryBinding {
  /** SHA-256 (hex) of the SubjectPublicKeyInfo in DER. */
  readonly publicKeyFingerprint: string;
  /** The IP address from which the request came. */
  readonly address?: string;
  readonly time: string | null;
}

const recovery = message<NodeRecoveryBinding>("NodeRecoveryBinding", "The next key of an expired certificate.", {
  publicKeyFingerprint: always(1, STRING, "SHA-256 of the public key (SubjectPublicKeyInfo) in DER, in hex."),
  address: omitempty(2, STRING, "IP address from which the request came."),
  time: always(3, TIME, "When the key was bound."),
});

/** The part of a record that its hash does not cover. */
export interface IssuedCertificateStatus {
  /**
   * The user that the certificate identifies; absent in records that an earlier build wrote or changed. It is outside of the
   * spec because an earlier build on the same etcd drops it, and must compute the same hash (`core/register/certificate_user.ts`).
   */
  readonly identifies?: RecordedIdentity;
  /** Absent for a certificate that is not revoked. */
  readonly revocation?: CertificateRevocation;
  /** The CA's signature over the register up to this record. */
  readonly seal?: RegisterSeal;
  /** Set when a node that has only this certificate, which has expired, requested its next one with it. */
  readonly recovery?: NodeRecoveryBinding;
}

const certificateStatus = message<IssuedCertificateStatus>(
  "IssuedCertificateStatus",
  "The part of a record that its hash does not cover.",
  {
    identifies: optional(4, recordedIdentity, "The user that the certificate identifies. Older records lack it."),
    revocation: optional(1, revocation, "The revocation of the certificate."),
    seal: optional(2, registerSeal, "The signature of a CA over the register up to this record."),
    recovery: optional(3, recovery, "The key for which a node used this expired certificate."),
  },
);

/** The record of one certificate that was issued. Its name is its sequence number in ten digits. */
export interface IssuedCertificate extends KubeObject {
  readonly spec: IssuedCertificateSpec;
  readonly status: IssuedCertificateStatus;
}

export const issuedCertificateKind: Kind = kind<IssuedCertificate>(
  "IssuedCertificate",
  clusterWide("ic"),
  "Records one certificate that was issued. The records form a chain: each holds the hash of the one before it.",
  {
    spec: required(2, certificateSpec, "The certificate, its request and its approval. Cannot change."),
    status: always(3, certificateStatus, "The identified user, the revocation, and the seal of the register."),
  },
);

/** The target of the revocation, which is exactly one of the first five fields, and its reason. */
export interface RevocationSpec {
  /** The serial number of one certificate in lower-case hex. */
  readonly serialNumber?: string;
  /**
   * The name of a node. Revokes the certificates that it has, and refuses requests for its name, except with a newer
   * token that is bound to it.
   */
  readonly node?: string;
  readonly user?: string;
  readonly group?: string;
  /** The id of a bootstrap token. */
  readonly token?: string;
  /** With `token`: also every certificate that was requested with it. */
  readonly includeCertificates?: boolean;
  /** A reason from the list `REVOCATION_REASONS`. */
  readonly reason: string;
  readonly message?: string;
}

const revocationSpec = message<RevocationSpec>(
  "RevocationSpec",
  "The target, one of the first five fields, and the reason.",
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

/** The user and the time of a revocation; set by the server. */
export interface RevocationStatus {
  readonly revokedBy?: string;
  readonly revokedByGroups?: readonly string[];
  readonly time: string | null;
  /**
   * The sequence number of the last record of the register at that time. The certificates of a node up to this record
   * were issued before the revocation, even if the clock was changed.
   */
  readonly lastSequence?: number;
}

const revocationStatus = message<RevocationStatus>("RevocationStatus", "The user and the time of a revocation.", {
  revokedBy: omitempty(1, STRING, "User that revoked it."),
  revokedByGroups: omitempty(2, atomic(STRING), "Groups of that user."),
  time: always(3, TIME, "When it was revoked."),
  lastSequence: omitempty(4, INT64, "Sequence number of the last record of the register at that time."),
});

/** The refusal of a certificate, a user, a group, a node or a token from now on. Immutable. */
export interface Revocation extends KubeObject {
  readonly spec: RevocationSpec;
  readonly status: RevocationStatus;
}

export const revocationKind: Kind = kind<Revocation>(
  "Revocation",
  clusterWide(),
  "Refuses a certificate, a node, a user, a group or a token from now on.",
  {
    spec: required(2, revocationSpec, "What is revoked and why. Cannot change after creation."),
    status: always(3, revocationStatus, "The user and the time of the revocation; filled by the server."),
  },
);

/** The origin of a request. */
export interface RequestRecordSpec {
  readonly requestUID: string;
  /** The IP address from which the request was created; absent for requests within the server's process. */
  readonly address?: string;
  readonly userAgent?: string;
  /** The proof for which the requester got the bootstrap token. */
  readonly attested?: string;
}

const requestRecordSpec = message<RequestRecordSpec>("RequestRecordSpec", "The origin of a request.", {
  requestUID: always(1, STRING, "Uid of the CertificateSigningRequest."),
  address: omitempty(2, STRING, "IP address from which the request came."),
  userAgent: omitempty(3, STRING, "User-Agent header of the request."),
  attested: omitempty(4, STRING, "What the requester proved to get the bootstrap token: kind, key and time."),
});

/** The user that approved or denied a request. */
export interface RequestDecision {
  readonly type: string;
  readonly username: string;
  readonly groups?: readonly string[];
  readonly address?: string;
  readonly time: string | null;
}

const requestDecision = message<RequestDecision>("RequestDecision", "The decision on a request, and its user.", {
  type: always(1, STRING, "Approved or Denied."),
  username: always(2, STRING, "User that decided."),
  groups: omitempty(3, atomic(STRING), "Groups of that user."),
  address: omitempty(4, STRING, "IP address from which the decision came."),
  time: always(5, TIME, "When the user decided."),
});

const requestRecordStatus = message<RequestRecord["status"]>("RequestRecordStatus", "The decision on a request.", {
  decision: optional(1, requestDecision, "The decision and its user."),
});

/** The facts that the server records about a CertificateSigningRequest, under the name of the request. */
export interface RequestRecord extends KubeObject {
  readonly spec: RequestRecordSpec;
  readonly status: { readonly decision?: RequestDecision };
}

export const requestRecordKind: Kind = kind<RequestRecord>(
  "RequestRecord",
  clusterWide(),
  "Records what the server knows about a CertificateSigningRequest of the same name beyond the request.",
  {
    spec: required(2, requestRecordSpec, "Where the request came from."),
    status: always(3, requestRecordStatus, "The decision on the request."),
  },
);

/** The two CAs, which cannot change, and the step that the operator requests. */
export interface CaRotationSpec {
  /**
   * `Trust`: both CAs are trusted and the old one signs. `Switch`: both are trusted and the new one signs. `Finish`: the
   * old one is trusted nowhere. Switch may return to Trust; then `renewFrom` is set, and the new CA retires.
   */
  readonly step: CaRotationStep;
  /** The old key has leaked: certificates of the old CA are refused from the first step on. */
  readonly isLeaked?: boolean;
  /** PEM: the CA first, then its issuers. */
  readonly oldCA: string;
  readonly newCA: string;
  /** PEM: the subject and the key of the new CA, signed by the old one; absent when the old key has leaked. */
  readonly crossSignedCA?: string;
  /** RFC 3339: clients with a certificate of the retiring CA renew between the two. */
  readonly renewFrom?: string | null;
  readonly renewBy?: string | null;
  /** The nodes and users that may lose access when the rotation finishes. */
  readonly leftBehind?: readonly string[];
}

const caRotationSpec = message<CaRotationSpec>("CARotationSpec", "The two CAs and the requested step.", {
  step: required(1, enumerated(CA_ROTATION_STEPS), "The old CA signs, the new signs, or the old is trusted nowhere."),
  isLeaked: omitempty(2, BOOL, "True when the old key has leaked; certificates of the old CA are then refused."),
  oldCA: required(3, STRING, "The old CA as PEM."),
  newCA: required(4, STRING, "The new CA as PEM."),
  crossSignedCA: omitempty(5, STRING, "The new CA, signed by the old one, as PEM."),
  renewFrom: optional(6, TIME, "When clients begin to renew certificates of the retiring CA."),
  renewBy: optional(7, TIME, "When the last client renews its certificate of the retiring CA."),
  leftBehind: omitempty(8, set(STRING), "Nodes and users that may lose access."),
});

/** The progress of one server, which it updates about once a minute. */
export interface CaRotationServer {
  readonly name: string;
  /** The step that the server has adopted; empty for none. */
  readonly step: string;
  readonly message?: string;
  readonly time: string | null;
}

const caRotationServer = message<CaRotationServer>("CARotationServer", "The progress of one server.", {
  name: required(1, STRING, "Name of the server."),
  step: always(2, STRING, "Step that the server has adopted."),
  message: omitempty(3, STRING, "Why it has not adopted the next step."),
  time: always(4, TIME, "When the server wrote this."),
});

/** The progress of a rotation; set by the servers. */
export interface CaRotationStatus {
  /** The last step that each server has adopted. */
  readonly servers?: readonly CaRotationServer[];
  readonly beganAt: string | null;
  readonly switchedAt?: string | null;
  readonly finishedAt?: string | null;
}

const caRotationStatus = message<CaRotationStatus>("CARotationStatus", "The progress of a rotation.", {
  servers: omitempty(1, mergedBy("name", caRotationServer), "The progress of each server."),
  beganAt: always(2, TIME, "When the rotation began."),
  switchedAt: optional(3, TIME, "When the new CA began to sign."),
  finishedAt: optional(4, TIME, "When the old CA lost all trust."),
});

/** The replacement of one CA of an installation. Its name is the CA's file name below `pki/` without `.crt`. */
export interface CaRotation extends KubeObject {
  readonly spec: CaRotationSpec;
  readonly status: CaRotationStatus;
}

export const caRotationKind: Kind = kind<CaRotation>(
  "CARotation",
  clusterWide(),
  "Replaces a CA of the installation. It has the name of the CA's file, such as ca.",
  {
    spec: required(2, caRotationSpec, "The two CAs, which cannot change, and the requested step."),
    status: always(3, caRotationStatus, "The progress of the servers."),
  },
);

const trustReportSpec = message<TrustReport["spec"]>("TrustReportSpec", "The CAs that a user trusts.", {
  trusted: omitempty(1, set(STRING), "SHA-256 of each trusted CA certificate, in hex."),
});

const trustReportStatus = message<TrustReport["status"]>("TrustReportStatus", "What the server knows about a user.", {
  username: always(1, STRING, "Name of the user."),
  reportedAt: optional(2, TIME, "When the user last reported."),
  issuer: omitempty(3, STRING, "SHA-256 of the CA of the user's client certificate, in hex."),
  serialNumber: omitempty(4, STRING, "Serial number of that certificate, in hex."),
  lastSeen: optional(5, TIME, "When the user was last seen with it."),
});

/** The CAs that one user trusts, and the certificate with which the server has seen the user. */
export interface TrustReport extends KubeObject {
  readonly spec: {
    /** Absent before the first report. */
    readonly trusted?: readonly string[];
  };
  readonly status: {
    readonly username: string;
    /** Absent before the first report. */
    readonly reportedAt?: string | null;
    readonly issuer?: string;
    readonly serialNumber?: string;
    /** Updated at most every ten minutes, and only while a rotation is in progress. */
    readonly lastSeen?: string | null;
  };
}

export const trustReportKind: Kind = kind<TrustReport>(
  "TrustReport",
  clusterWide(),
  "Reports which CAs a user trusts. The server names it after the user; a new report replaces the old one.",
  {
    spec: required(2, trustReportSpec, "What the user reports."),
    status: always(3, trustReportStatus, "What the server knows about the user; filled by the server."),
  },
);
