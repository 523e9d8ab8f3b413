/**
 * The user that a certificate identifies. The API server authenticates a client certificate with `identifyCertificate`,
 * and the record of a certificate stores the result of that function at issuance in `status.identifies`. All code that
 * looks for the certificates of a user, a group or a node reads it with `readIdentity`.
 *
 * The field is not part of the spec: an older build drops unknown fields in etcd, where objects are protobuf, and must
 * still compute the hash for the next record. The hash covers the subject in the spec, and `verifyRecords` compares the
 * field with the subject.
 */
import { hash } from "node:crypto";
import type {
  IssuedCertificateSpec,
  IssuedCertificateStatus,
  RecordedIdentity,
} from "../kube/kinds/tlsboot_v1alpha1.ts";
import { CREDENTIAL_ID_KEY, CREDENTIAL_ID_PREFIX, type UserInfo } from "../kube/user.ts";
import { isRecord, omitEmpty } from "../lib/record.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { CertificateFacts } from "../pki/x509/certificate.ts";
import { formatName, parseFormattedName } from "../pki/x509/names.ts";
import { listAlternativeNames } from "../pki/x509/subject_alternative_names.ts";

/** The name and the groups of the user that a credential identifies. The name is empty when there is no user. */
export type IdentifiedUser = Pick<UserInfo, "username" | "groups">;

/** The result of identifying a certificate; one without a common name has no user. */
type CertificateUser =
  | { readonly kind: "user"; readonly user: UserInfo }
  | { readonly kind: "none" }
  | { readonly kind: "failed"; readonly reason: string };

/** Subject attribute that holds the user's uid (apimachinery `pkg/apis/asn1`). */
const UID_OID = "1.3.6.1.4.1.57683.2";

/**
 * Identifies the user of a certificate: the CN, each O in the order of the certificate, the uid attribute and the
 * fingerprint (`apiserver/pkg/authentication/request/x509/x509.go`).
 */
export function identifyCertificate(leaf: Pick<CertificateFacts, "subject" | "sha256Fingerprint">): CertificateUser {
  const { username, groups } = identifySubject(leaf);
  if (username === "") return { kind: "none" };
  const { otherAttributes } = leaf.subject;
  const uid = findUid(otherAttributes.filter(({ oid }) => oid === UID_OID).map(({ value }) => value));
  if (!uid.ok) return { kind: "failed", reason: uid.error };
  const extra = { [CREDENTIAL_ID_KEY]: [CREDENTIAL_ID_PREFIX + leaf.sha256Fingerprint] };
  return { kind: "user", user: { username, uid: uid.value, groups, extra } };
}

function identifySubject({ subject }: Pick<CertificateFacts, "subject">): IdentifiedUser {
  return { username: subject.commonName, groups: subject.organizations };
}

function findUid(values: readonly (string | undefined)[]): Result<string, string> {
  const [uid] = values;
  if (values.length === 0) return ok("");
  if (values.includes(undefined) || uid === undefined) return err("unable to parse UID into a string");
  if (values.length > 1) return err(`expected 1 UID, but found multiple: [${values.join(" ")}]`);
  return uid === "" ? err("UID cannot be an empty string") : ok(uid);
}

/**
 * Describes the user of a certificate for its record. The server refuses a certificate with a malformed uid, but its
 * record still has the user, so that it is found with the other certificates of the user.
 */
export function describeIdentity(certificate: Pick<CertificateFacts, "subject">): RecordedIdentity {
  const { username, groups } = identifySubject(certificate);
  return omitEmpty({ username, groups });
}

/**
 * Reads the user of a record; undefined when it cannot be determined, which callers must not treat as a certificate
 * without a user. A record of an earlier build has only the text of `formatName`, which has one meaning
 * (`parseFormattedName`). The certificate itself is stored with its request only, which is deleted within hours.
 */
export function readIdentity(
  { spec, status }: {
    readonly spec: Pick<IssuedCertificateSpec, "subject" | "fingerprint">;
    readonly status?: Pick<IssuedCertificateStatus, "identifies">;
  },
): IdentifiedUser | undefined {
  const { identifies } = status ?? {};
  return identifies === undefined ? readSubjectText(spec) : parseRecordedIdentity(identifies);
}

/** Parses the recorded user. It checks the types, because anyone may have edited the file of an issued log. */
function parseRecordedIdentity(identifies: unknown): IdentifiedUser | undefined {
  const { username = "", groups = [] } = isRecord(identifies) ? identifies : { username: undefined, groups: null };
  const isList = Array.isArray(groups) && groups.every((group) => typeof group === "string");
  return typeof username === "string" && isList ? { username, groups } : undefined;
}

/** The end of a subject that was cut in the file from which a record was migrated (`toSubjectLabel`). */
const CUT = /\u2026 [0-9a-f]{64}$/;

/** Reads the user from the subject of a record as `formatName` wrote it; undefined for any other text. */
export function readSubjectText(
  { subject = "", fingerprint }: Pick<IssuedCertificateSpec, "subject" | "fingerprint">,
): IdentifiedUser | undefined {
  // Only migrated records have no fingerprint. Their subject can be cut, or consist of alternative names.
  if (fingerprint === undefined && (subject === "" || CUT.test(subject))) return undefined;
  const attributes = parseFormattedName(subject);
  if (attributes === undefined) return undefined;
  const username = attributes.find(({ type }) => type === "CN")?.value ?? "";
  return { username, groups: attributes.filter(({ type }) => type === "O").map(({ value }) => value) };
}

/** The length of a text beyond which it is cut. */
const MAX_LABEL_LENGTH = 200;

/** Returns a text that is unique to the user of a certificate; without a user, its subject or its names. */
export function toHolderLabel(spec: Partial<IssuedCertificateSpec>, identity: IdentifiedUser | undefined): string {
  const { username = "", groups = [] } = identity ?? {};
  return username === "" ? toSubjectLabel(spec) : cut(formatName({ commonName: username, organizations: groups }));
}

/** Returns the subject, or the alternative names when it is empty; a long text is cut and ends with its digest. */
export function toSubjectLabel(spec: Partial<IssuedCertificateSpec>): string {
  return cut(spec.subject ?? listAlternativeNames(spec).toSorted().join(","));
}

function cut(text: string): string {
  if (text.length <= MAX_LABEL_LENGTH) return text;
  return `${text.slice(0, MAX_LABEL_LENGTH)}… ${hash("sha256", text)}`;
}
