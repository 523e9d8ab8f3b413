/**
 * The resources of `certificates.k8s.io/v1`: certificatesigningrequests with `/approval` and `/status`,
 * podcertificaterequests with `/status`, and clustertrustbundles. For CSRs, this file also has the rules for the fields
 * that each endpoint may change and that the server sets (`pkg/registry/certificates/certificates/strategy.go`).
 */
import type {
  CertificateSigningRequest,
  CertificateSigningRequestCondition,
  CertificateSigningRequestSpec,
  CertificateSigningRequestStatus,
  ClusterTrustBundle,
  PodCertificateRequest,
} from "../../core/kube/kinds/certificates_v1.ts";
import { formatConditionCell, getConditions } from "../../core/request/phase.ts";
import { verifyRequestInBackground } from "../../core/request/parse_request.ts";
import { validateCsrCreate, validateCsrUpdate } from "../../core/request/validate.ts";
import { formatHumanDuration } from "../../core/lib/duration.ts";
import {
  certificateSigningRequestKind,
  clusterTrustBundleKind,
  podCertificateRequestKind,
} from "../../core/kube/kinds/mod.ts";
import { formatTime } from "../../core/kube/meta.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { KeyAlgorithmOptions } from "../../core/pki/keys/key_names.ts";
import { omitEmpty, omitUndefined } from "../../core/lib/record.ts";
import {
  ageColumn,
  nameColumn,
  type Resource,
  STANDARD_VERBS,
  type StoredResource,
  SUBRESOURCE_VERBS,
  textColumn,
} from "./resource.ts";
import {
  defaultPodRequest,
  validatePodRequestCreate,
  validatePodRequestStatusUpdate,
  validatePodRequestUpdate,
} from "../../core/request/validate_pod_request.ts";
import { forbiddenField } from "../../core/kube/status/field_error.ts";
import { isEqualJson } from "../../core/kube/json_value.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import { goQuote } from "../../core/lib/go_text.ts";
import { isAllowedForSigner, type SignerCheckDeps } from "../authz/authorizer.ts";
import { withMeta } from "./write.ts";
import {
  trustBundleNameErrors,
  validateTrustBundleCreate,
  validateTrustBundleUpdate,
} from "../../core/signing/cluster_trust_bundle.ts";

/** Certificate signing requests, the main resource of this program, with the rules of kube-apiserver 1.37. */
export const certificateSigningRequests: Resource<CertificateSigningRequest> = createCsrResource({});

/**
 * Creates the resource of certificate signing requests. Options may accept more kinds of keys than kube-apiserver 1.37.
 */
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
      prepareValidation: (csr) => verifyRequestInBackground(csr.spec.request, options),
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

/** Prepares an update of the main resource, which can change only metadata; other changes are ignored. */
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

/**
 * Prepares an update of `/approval`, which can change only conditions; the spec and the rest of the status are
 * restored.
 */
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

/** Identifies the state of a condition. The transition time stays while this state does not change. */
function toStateKey({ type, status }: CertificateSigningRequestCondition): string {
  return JSON.stringify([type, status]);
}

/** The storage and the verbs of the resource, without its rules. */
export const POD_CERTIFICATE_REQUESTS: Pick<StoredResource, "kind" | "storedVersion"> & Pick<Resource, "verbs"> = {
  kind: podCertificateRequestKind,
  // `pkg/kubeapiserver/default_storage_factory_builder.go`
  storedVersion: "v1beta1",
  verbs: STANDARD_VERBS,
};

/** Creates the resource. Only users who may sign for the signer of a request may write its status. */
export function createPodCertificateRequests(
  deps: SignerCheckDeps & KeyAlgorithmOptions,
): Resource<PodCertificateRequest> {
  return {
    ...POD_CERTIFICATE_REQUESTS,
    columns: [
      nameColumn,
      textColumn("PodName", "The pod that will have the certificate.", ({ spec }) => spec.podName),
      textColumn("ServiceAccountName", "The service account of the pod.", ({ spec }) => spec.serviceAccountName),
      textColumn("NodeName", "The node that the pod runs on.", ({ spec }) => spec.nodeName),
      textColumn("SignerName", "The requested signer of the certificate.", ({ spec }) => spec.signerName),
      textColumn("State", "Pending, Issued, Denied or Failed.", formatState),
      textColumn("UnverifiedUserAnnotations", "Requests of the pod's author to the signer.", formatAnnotations),
    ],
    // `pkg/apis/certificates/v1/conversion.go`
    notSelectableByNamespace: true,
    selectableFields: ["spec.signerName", "spec.podName", "spec.nodeName"],
    selectField: ({ spec }, field) => spec[field.slice("spec.".length) as "signerName" | "podName" | "nodeName"],
    strategy: {
      applyDefaults: defaultPodRequest,
      prepareForCreate: (request) => ({ ...request, status: {} }),
      validateName: subdomainNameErrors,
      validateCreate: (request) => validatePodRequestCreate(request, deps),
      prepareForUpdate: (request, stored) => ({ ...request, status: stored.status }),
      validateUpdate: validatePodRequestUpdate,
      needsResourceVersion: true,
      resetFields: ["status"],
    },
    subresources: [{
      name: "status",
      verbs: SUBRESOURCE_VERBS,
      table: true,
      prepareForUpdate: prepareForStatusUpdate,
      validateUpdate: (request, stored, { now }) => validatePodRequestStatusUpdate(request, stored, now),
      async checkPermission(request, stored, user) {
        if (isEqualJson(request.status, stored.status)) return [];
        const { signerName } = stored.spec;
        if (await isAllowedForSigner(deps, user, "sign", signerName)) return [];
        const detail = `User ${goQuote(user.username)} is not permitted to "sign" for signer ${goQuote(signerName)}`;
        return [forbiddenField("spec.signerName", detail)];
      },
      resetFields: ["metadata", "spec"],
    }],
  };
}

/** Restores the spec, and the metadata that a writer of the status may not change (`metav1.ResetObjectMetaForStatus`). */
function prepareForStatusUpdate(request: PodCertificateRequest, stored: PodCertificateRequest): PodCertificateRequest {
  const { deletionTimestamp, labels, annotations, finalizers, ownerReferences } = stored.metadata;
  const kept = { deletionTimestamp, selfLink: undefined, labels, annotations, finalizers, ownerReferences };
  return { ...withMeta(request, kept), spec: stored.spec };
}

function formatState({ status }: PodCertificateRequest): string {
  const types = (status.conditions ?? []).map(({ type }) => type);
  return types.findLast((type) => ["Issued", "Denied", "Failed"].includes(type)) ?? "Pending";
}

function formatAnnotations({ spec }: PodCertificateRequest): string {
  const texts = Object.entries(spec.unverifiedUserAnnotations ?? {}).map(([key, value]) => `${key}=${value}`);
  return texts.length === 0 ? "<none>" : texts.sort().join(",");
}

/** Trust bundles, with and without a signer. */
export const clusterTrustBundles: Resource<ClusterTrustBundle> = {
  kind: clusterTrustBundleKind,
  // `pkg/kubeapiserver/default_storage_factory_builder.go`: so that a kube-apiserver 1.36 can read them.
  storedVersion: "v1beta1",
  verbs: STANDARD_VERBS,
  columns: [
    nameColumn,
    textColumn("SignerName", "The signer of the certificates.", ({ spec }) => spec.signerName ?? "<none>"),
  ],
  selectableFields: ["spec.signerName"],
  selectField: ({ spec }) => spec.signerName ?? "",
  strategy: {
    checksGenerateName: true,
    validateName: trustBundleNameErrors,
    validateCreate: validateTrustBundleCreate,
    validateUpdate: validateTrustBundleUpdate,
    needsResourceVersion: true,
  },
};
