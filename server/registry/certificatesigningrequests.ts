/** The resource `certificates.k8s.io/v1` certificatesigningrequests, with `/approval` and `/status`. */
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { formatConditionCell } from "../../core/request/phase.ts";
import {
  prepareCsrForApprovalUpdate,
  prepareCsrForCreate,
  prepareCsrForStatusUpdate,
  prepareCsrForUpdate,
} from "../../core/request/strategy.ts";
import { validateCsrCreate, validateCsrUpdate } from "../../core/request/validate.ts";
import { formatHumanDuration } from "../../core/kube/human_duration.ts";
import { certificateSigningRequestKind } from "../../core/kube/kinds/mod.ts";
import type { KeyAlgorithmOptions } from "../../core/pki/keys/key_algorithm.ts";
import { ageColumn, nameColumn } from "./columns.ts";
import { type Resource, STANDARD_VERBS, SUBRESOURCE_VERBS } from "./resource.ts";

/** CSR names have no rule except that of URL paths, which is checked last. */
const ANY_NAME = (): readonly string[] => [];

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
      {
        name: "SignerName",
        type: "string",
        format: "",
        priority: 0,
        description: "The requested signer of the certificate.",
        cell: (csr) => csr.spec.signerName === "" ? "<none>" : csr.spec.signerName,
      },
      {
        name: "Requestor",
        type: "string",
        format: "",
        priority: 0,
        description: "The user who made the request.",
        cell: (csr) => csr.spec.username ?? "",
      },
      {
        name: "RequestedDuration",
        type: "string",
        format: "",
        priority: 0,
        description: "The requested lifetime.",
        cell: (csr) =>
          csr.spec.expirationSeconds === undefined ? "<none>" : formatHumanDuration(csr.spec.expirationSeconds * 1000),
      },
      {
        name: "Condition",
        type: "string",
        format: "",
        priority: 0,
        description: "Pending, approved, denied, failed or issued.",
        cell: (csr) => formatConditionCell(csr),
      },
    ],
    selectableFields: ["spec.signerName"],
    selectField: (csr) => csr.spec.signerName,
    strategy: {
      checksGenerateName: true,
      prepareForCreate: (csr, { user }) => prepareCsrForCreate(csr, user),
      validateCreate: (csr) => validateCsrCreate(csr, options),
      validateName: ANY_NAME,
      prepareForUpdate: (csr, stored) => prepareCsrForUpdate(csr, stored),
      validateUpdate: (csr, stored) => validateCsrUpdate(csr, stored, "main", options),
      createOnUpdate: false,
      unconditionalUpdate: true,
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
