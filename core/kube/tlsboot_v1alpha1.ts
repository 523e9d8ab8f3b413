/**
 * The kinds of the group `tlsboot`, which Kubernetes does not have: what was issued, what was revoked, what the server
 * knows about requests beyond the requests themselves, and how a CA is replaced.
 */
import type { KubeObject } from "./meta.ts";

/** The API group of tlsboot's own kinds. */
export const TLSBOOT_GROUP = "tlsboot";

/** The record of one certificate that was issued. Its name is its sequence number in ten digits. */
export interface IssuedCertificate extends KubeObject {
  readonly spec: IssuedCertificateSpec;
  readonly status: IssuedCertificateStatus;
}

/** The immutable part of a record; the next record holds its SHA-256. */
export interface IssuedCertificateSpec {
  /** The position in the register, from 1. */
  readonly sequence: number;
  /** SHA-256 (hex) of the previous record's spec (`hashRecord`); absent in the first record. */
  readonly previousHash?: string;
  /** The serial number in lower-case hex, without separators; absent in records of earlier builds, as is all they lack. */
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
  /** How the certificate came to be. */
  readonly source?: IssuedCertificateSource;
  readonly request?: { readonly name?: string; readonly uid?: string };
  readonly requester?: IssuedCertificateRequester;
  readonly approval?: IssuedCertificateApproval;
  /** The name of the record of the certificate that this one replaces: the newest of the same signer and subject. */
  readonly replaces?: string;
  /** Set in a stub, which stands for a run of records that were removed after their retention. */
  readonly removed?: RemovedRecords;
}

/** The origin of a certificate: a request at an API, a command, or an earlier build's file. */
export type IssuedCertificateSource =
  | "CertificateSigningRequest"
  | "PodCertificateRequest"
  | "sign"
  | "kubeconfig"
  | "serving"
  | "ca"
  | "migration";

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
}

/** The approval of a request. */
export interface IssuedCertificateApproval {
  /** The user that wrote the approval; absent when another API server stored it. */
  readonly username?: string;
  readonly groups?: readonly string[];
  readonly address?: string;
  /** The reason and the message of the condition, which name policy and rule. */
  readonly reason?: string;
  readonly message?: string;
  readonly time: string | null;
}

/** A run of removed records, which ends at the sequence number of the stub. */
export interface RemovedRecords {
  /** The sequence number of the first removed record; `previousHash` of the stub is that record's. */
  readonly from: number;
  /** SHA-256 (hex) of the spec of the last removed record, which the next record holds. */
  readonly hash: string;
  readonly time: string | null;
}

/** The part of a record that its hash does not cover. */
export interface IssuedCertificateStatus {
  /**
   * The user that the certificate identifies; absent in records that an earlier build wrote or changed. It is outside of the
   * spec because an earlier build on the same etcd drops it, and must compute the same hash (`core/register/identity.ts`).
   */
  readonly identifies?: RecordedIdentity;
  /** Absent for a certificate that is not revoked. */
  readonly revocation?: CertificateRevocation;
  /** The CA's signature over the register up to this record. */
  readonly seal?: RegisterSeal;
  /** Set when a node that has only this certificate, which has expired, requested its next one with it. */
  readonly recovery?: NodeRecoveryBinding;
}

/** The user that a certificate identifies; without a user name, it identifies none. */
export interface RecordedIdentity {
  readonly username?: string;
  readonly groups?: readonly string[];
}

/** The revocation that covers a certificate. */
export interface CertificateRevocation {
  /** The name of the Revocation. */
  readonly name: string;
  readonly reason: string;
  readonly message?: string;
  readonly revokedBy?: string;
  readonly time: string | null;
}

/** A signature over the hash of a record (`core/register/seal.ts`), and so over all records before it. */
export interface RegisterSeal {
  readonly time: string | null;
  /** SHA-256 (hex) of the CA certificate whose key signed. */
  readonly issuerFingerprint: string;
  /** The algorithm of the signature, such as `ECDSA-SHA256`. */
  readonly algorithm: string;
  /** The signature, as base64 text. */
  readonly signature: string;
}

/** The one key that an expired certificate may still obtain a certificate for. */
export interface NodeRecoveryBinding {
  /** SHA-256 (hex) of the SubjectPublicKeyInfo in DER. */
  readonly publicKeyFingerprint: string;
  /** The IP address from which the request came. */
  readonly address?: string;
  readonly time: string | null;
}

/** The order to refuse a certificate, a user, a group, a node or a token from now on. Immutable. */
export interface Revocation extends KubeObject {
  readonly spec: RevocationSpec;
  readonly status: RevocationStatus;
}

/** What is revoked, of the first five exactly one, and why. */
export interface RevocationSpec {
  /** The serial number of one certificate in lower-case hex. */
  readonly serialNumber?: string;
  /** The name of a node: its certificates so far, and requests for its name except with a newer token that is bound to it. */
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

/** The user and the time of a revocation; set by the server. */
export interface RevocationStatus {
  readonly revokedBy?: string;
  readonly revokedByGroups?: readonly string[];
  readonly time: string | null;
  /**
   * The sequence number of the last record of the register at that time. The certificates of a node up to this record were
   * issued before the revocation, whatever the clock did.
   */
  readonly lastSequence?: number;
}

/** The reasons that a revocation may have, by their names in RFC 5280 section 5.3.1. */
export const REVOCATION_REASONS: readonly string[] = [
  "unspecified",
  "keyCompromise",
  "cACompromise",
  "affiliationChanged",
  "superseded",
  "cessationOfOperation",
  "certificateHold",
  "privilegeWithdrawn",
  "aACompromise",
];

/** What the server knows about a CertificateSigningRequest beyond the request. It has the name of the request. */
export interface RequestRecord extends KubeObject {
  readonly spec: RequestRecordSpec;
  readonly status: RequestRecordStatus;
}

/** The origin of a request. */
export interface RequestRecordSpec {
  /** The uid of the CertificateSigningRequest. */
  readonly requestUID: string;
  /** The IP address from which the request was created; absent for requests within the server's process. */
  readonly address?: string;
  readonly userAgent?: string;
}

/** The decision about a request. */
export interface RequestRecordStatus {
  readonly decision?: RequestDecision;
}

/** The user that approved or denied a request. */
export interface RequestDecision {
  /** The type of the condition, `Approved` or `Denied`. */
  readonly type: string;
  readonly username: string;
  readonly groups?: readonly string[];
  readonly address?: string;
  readonly time: string | null;
}

/** The CAs that can be rotated: the names of their files below `pki/`, without `.crt`. */
export const ROTATABLE_CAS: readonly string[] = [
  "ca",
  "client-ca",
  "kubelet-client-ca",
  "kubelet-serving-ca",
  "custom-ca",
];

/** The steps of a CA rotation, in their order. */
export const CA_ROTATION_STEPS = ["Trust", "Switch", "Finish"] as const;

/** A step from the list `CA_ROTATION_STEPS`. */
export type CaRotationStep = typeof CA_ROTATION_STEPS[number];

/** The replacement of one CA of an installation. Its name is the CA's file name below `pki/` without `.crt`. */
export interface CaRotation extends KubeObject {
  readonly spec: CaRotationSpec;
  readonly status: CaRotationStatus;
}

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

/** The progress of a rotation; set by the servers. */
export interface CaRotationStatus {
  /** The last step that each server has adopted. */
  readonly servers?: readonly CaRotationServer[];
  readonly beganAt: string | null;
  readonly switchedAt?: string | null;
  readonly finishedAt?: string | null;
}

/** The progress of one server, which it renews about once a minute. */
export interface CaRotationServer {
  readonly name: string;
  /** The step that the server has adopted; empty for none. */
  readonly step: string;
  /** The reason why the server has not adopted the requested step. */
  readonly message?: string;
  readonly time: string | null;
}

/** The CAs that one user trusts, and the certificate with which the server has seen the user. */
export interface TrustReport extends KubeObject {
  readonly spec: TrustReportSpec;
  readonly status: TrustReportStatus;
}

/** The part that the user reports. */
export interface TrustReportSpec {
  /** SHA-256 (hex) of each CA certificate that the user trusts for the server; absent before the first report. */
  readonly trusted?: readonly string[];
}

/** The part that the server knows about the user. */
export interface TrustReportStatus {
  readonly username: string;
  /** The time of the last report; absent before the first one. */
  readonly reportedAt?: string | null;
  /** SHA-256 (hex) of the CA of the client certificate that the user had last. */
  readonly issuer?: string;
  /** The serial number of that certificate, in lower-case hex. */
  readonly serialNumber?: string;
  /** When the user was last seen with it; renewed at most every ten minutes, and only while a rotation is in progress. */
  readonly lastSeen?: string | null;
}
