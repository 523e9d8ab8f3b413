/** The resource `certificates.k8s.io/v1` podcertificaterequests, with `/status` (`pkg/registry/certificates/podcertificaterequest`). */
import type { PodCertificateRequest } from "../../core/kube/kinds/certificates_v1.ts";
import {
  defaultPodRequest,
  validatePodRequestCreate,
  validatePodRequestStatusUpdate,
  validatePodRequestUpdate,
} from "../../core/request/validate_pod_request.ts";
import { forbiddenField } from "../../core/kube/status/field_error.ts";
import { isEqualJson } from "../../core/kube/json_value.ts";
import { podCertificateRequestKind } from "../../core/kube/kinds/mod.ts";
import { subdomainNameErrors } from "../../core/kube/names.ts";
import type { KeyAlgorithmOptions } from "../../core/pki/keys/key_algorithm.ts";
import { goQuote } from "../../core/lib/quote.ts";
import { isAllowedForSigner, type SignerCheckDeps } from "../authz/authorizer.ts";
import { nameColumn, textColumn } from "./columns.ts";
import { type Resource, STANDARD_VERBS, type StoredResource, SUBRESOURCE_VERBS } from "./resource.ts";
import { withMeta } from "./write.ts";

/** The storage and the verbs of the resource, without its rules. */
export const POD_CERTIFICATE_REQUESTS: Pick<StoredResource, "kind" | "storedVersion"> & Pick<Resource, "verbs"> = {
  kind: podCertificateRequestKind,
  // `pkg/kubeapiserver/default_storage_factory_builder.go`
  storedVersion: "v1beta1",
  verbs: STANDARD_VERBS,
};

/** Creates the resource; only a user who may sign for the signer of a request may decide it. */
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
