/**
 * The resource `certificates.k8s.io/v1` certificatesigningrequests, with `/approval` and `/status`: which fields each
 * endpoint may change, and which the server sets (`pkg/registry/certificates/certificates/strategy.go`).
 */
import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
  CertificateSigningRequestSpec,
  CertificateSigningRequestStatus,
} from "../../core/kube/kinds/certificates_v1.ts";
import { formatConditionCell, getConditions } from "../../core/request/phase.ts";
import { verifyRequestAside } from "../../core/request/parse_request.ts";
import { validateCsrCreate, validateCsrUpdate } from "../../core/request/validate.ts";
import { formatHumanDuration } from "../../core/lib/duration.ts";
import { certificateSigningRequestKind } from "../../core/kube/kinds/mod.ts";
import { formatTime } from "../../core/kube/meta.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { KeyAlgorithmOptions } from "../../core/pki/keys/key_algorithm.ts";
import { omitEmpty, omitUndefined } from "../../core/lib/record.ts";
import { ageColumn, nameColumn, textColumn } from "./columns.ts";
import { type Resource, STANDARD_VERBS, SUBRESOURCE_VERBS } from "./resource.ts";

/** Certificate signing requests, the main resource of this program, as kube-apiserver 1.37 serves them. */
export const certificateSigningRequests: Resource<CertificateSigningRequest> = createCsrResource({});

/** Creates the resource of certificate signing requests, which may accept more keys than kube-apiserver 1.37. */
export function createCsrResource(options: KeyAlgorithmOptions): Resource<CertificateSigningRequest> {
  return {
    kind: certificateSigningRequestKind,
    verbs: STANDARD_VERBS,
    columns: [
      nameColumn,
      ageColumn,
      textColumn(
        "SignerName",
        "The requested signer of the certificate.",
        (csr) => csr.spec.signerName === "" ? "<none>" : csr.spec.signerName,
      ),
      textColumn("Requestor", "The user who made the request.", (csr) => csr.spec.username ?? ""),
      textColumn(
        "RequestedDuration",
        "The requested lifetime.",
        (csr) =>
          csr.spec.expirationSeconds === undefined ? "<none>" : formatHumanDuration(csr.spec.expirationSeconds * 1000),
      ),
      textColumn("Condition", "Pending, approved, denied, failed or issued.", (csr) => formatConditionCell(csr)),
    ],
    selectableFields: ["spec.signerName"],
    selectField: (csr) => csr.spec.signerName,
    strategy: {
      checksGenerateName: true,
      prepareForCreate: (csr, { user }) => prepareCsrForCreate(csr, user),
      prepareValidation: (csr) => verifyRequestAside(csr.spec.request, options),
      validateCreate: (csr) => validateCsrCreate(csr, options),
      prepareForUpdate: (csr, stored) => prepareCsrForUpdate(csr, stored),
      validateUpdate: (csr, stored) => validateCsrUpdate(csr, stored, "main", options),
      resetFields: ["spec", "status"],
    },
    subresources: [
      {
        name: "approval",
        verbs: SUBRESOURCE_VERBS,
        table: false,
        prepareForUpdate: (csr, stored, { now }) => prepareCsrForApprovalUpdate(csr, stored, now),
        validateUpdate: (csr, stored) => validateCsrUpdate(csr, stored, "approval", options),
        resetFields: ["spec", "status.certificate"],
      },
      {
        name: "status",
        verbs: SUBRESOURCE_VERBS,
        table: true,
        prepareForUpdate: (csr, stored, { now }) => prepareCsrForStatusUpdate(csr, stored, now),
        validateUpdate: (csr, stored) => validateCsrUpdate(csr, stored, "status", options),
        resetFields: ["spec", "status.conditions"],
      },
    ],
  };
}

/** Prepares a new CSR for storage: the requester is the authenticated user, and the status is empty. */
export function prepareCsrForCreate(csr: CertificateSigningRequest, user: UserInfo): CertificateSigningRequest {
  return rebuild(csr, toStoredSpec(csr.spec, user), {});
}

/** Prepares an update of the main resource, which can change metadata only; other changes are ignored. */
export function prepareCsrForUpdate(
  csr: CertificateSigningRequest,
  old: CertificateSigningRequest,
): CertificateSigningRequest {
  return rebuild(csr, old.spec, old.status);
}

/**
 * Prepares an update of `/status`. The spec is restored, and so are Approved and Denied while their number is unchanged
 * (validation refuses other changes); missing times are filled in.
 */
export function prepareCsrForStatusUpdate(
  csr: CertificateSigningRequest,
  old: CertificateSigningRequest,
  now: Date,
): CertificateSigningRequest {
  const preserved = preserveConditions(preserveConditions(getConditions(csr), old, "Approved"), old, "Denied");
  return rebuild(csr, old.spec, createStatus(fillTimes(preserved, old, now), csr.status.certificate));
}

/** Prepares an update of `/approval`, which can change conditions only; the rest of spec and status is restored. */
export function prepareCsrForApprovalUpdate(
  csr: CertificateSigningRequest,
  old: CertificateSigningRequest,
  now: Date,
): CertificateSigningRequest {
  return rebuild(csr, old.spec, createStatus(fillTimes(getConditions(csr), old, now), old.status.certificate));
}

/** Replaces spec and status of a CSR, with the fields in Go's order. */
function rebuild(
  csr: CertificateSigningRequest,
  spec: CertificateSigningRequestSpec,
  status: CertificateSigningRequestStatus,
): CertificateSigningRequest {
  return {
    ...omitUndefined({ kind: csr.kind, apiVersion: csr.apiVersion }),
    metadata: csr.metadata,
    spec,
    status,
  };
}

function toStoredSpec(sent: CertificateSigningRequestSpec, user: UserInfo): CertificateSigningRequestSpec {
  const extraKeys = Object.keys(user.extra).sort();
  return {
    request: sent.request,
    signerName: sent.signerName,
    ...omitUndefined({ expirationSeconds: sent.expirationSeconds, usages: sent.usages }),
    ...omitEmpty({ username: user.username, uid: user.uid, groups: user.groups }),
    ...(extraKeys.length === 0
      ? {}
      : { extra: Object.fromEntries(extraKeys.map((key) => [key, user.extra[key] ?? []])) }),
  };
}

function createStatus(
  conditions: readonly CertificateSigningRequestCondition[],
  certificate: string | undefined,
): CertificateSigningRequestStatus {
  return omitEmpty({ conditions, certificate });
}

/** Restores the stored conditions of a type in order, unless some were added or removed. */
function preserveConditions(
  conditions: readonly CertificateSigningRequestCondition[],
  old: CertificateSigningRequest,
  type: string,
): readonly CertificateSigningRequestCondition[] {
  const stored = getConditions(old).filter((item) => item.type === type);
  if (conditions.filter((item) => item.type === type).length !== stored.length) return conditions;
  let next = 0;
  return conditions.map((item) => (item.type === type ? stored[next++] ?? item : item));
}

function fillTimes(
  conditions: readonly CertificateSigningRequestCondition[],
  old: CertificateSigningRequest,
  now: Date,
): readonly CertificateSigningRequestCondition[] {
  const stored = new Map<string, string>();
  for (const item of getConditions(old)) {
    const time = item.lastTransitionTime ?? "";
    if (time !== "" && !stored.has(toStateKey(item))) stored.set(toStateKey(item), time);
  }
  return conditions.map((item) => ({
    ...item,
    lastUpdateTime: item.lastUpdateTime ?? formatTime(now),
    lastTransitionTime: item.lastTransitionTime ?? stored.get(toStateKey(item)) ?? formatTime(now),
  }));
}

/** The key of a condition, which must be unchanged for its transition time to stay. */
function toStateKey({ type, status }: CertificateSigningRequestCondition): string {
  return JSON.stringify([type, status]);
}
