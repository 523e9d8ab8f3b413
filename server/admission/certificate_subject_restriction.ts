/** CertificateSubjectRestriction: no superusers by way of the client signer (`csr-api.md` §9.4). */
import { parseRequest } from "../../core/csr/request.ts";
import { findSubjectRestriction } from "../../core/csr/subject_restriction.ts";
import { KUBE_APISERVER_CLIENT_SIGNER } from "../../core/kube/certificates_v1.ts";
import type { AdmissionPlugin } from "./admission.ts";
import { isCsr } from "./csr.ts";

/** Refuses organization `system:masters` in requests for `kubernetes.io/kube-apiserver-client`. */
export const certificateSubjectRestriction: AdmissionPlugin = {
  name: "CertificateSubjectRestriction",
  validate({ operation, kind, subresource, object }) {
    if (operation !== "CREATE" || subresource !== "" || !isCsr(kind, object)) return Promise.resolve(undefined);
    if (object.spec.signerName !== KUBE_APISERVER_CLIENT_SIGNER) return Promise.resolve(undefined);
    const request = parseRequest(object.spec.request);
    if (!request.ok) return Promise.resolve({ message: `failed to parse CSR: ${request.error}` });
    const message = findSubjectRestriction(object.spec.signerName, request.value.subject.organizations);
    return Promise.resolve(message === undefined ? undefined : { message });
  },
};
