/** What the admission plugin CertificateSubjectRestriction refuses (`plugin/pkg/admission/certificates/subjectrestriction`). */
import { KUBE_APISERVER_CLIENT_SIGNER } from "../kube/certificates_v1.ts";
import { MASTERS_GROUP } from "../kube/user.ts";

/** The plugin's message for a request that would make its holder an administrator; undefined for any other. */
export function findSubjectRestriction(signerName: string, organizations: readonly string[]): string | undefined {
  if (signerName !== KUBE_APISERVER_CLIENT_SIGNER || !organizations.includes(MASTERS_GROUP)) return undefined;
  return `use of ${KUBE_APISERVER_CLIENT_SIGNER} signer with ${MASTERS_GROUP} group is not allowed`;
}
