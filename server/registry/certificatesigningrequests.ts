/** The resource `certificates.k8s.io/v1` certificatesigningrequests, with `/approval` and `/status`. */
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { formatConditionCell } from "../../core/request/phase.ts";
import { verifyRequestAside } from "../../core/request/parse_request.ts";
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
