/** What Kubernetes is known to refuse, so that it can be said before a key is made and anybody is asked. */
import { type CertificateSigningRequest, KUBE_APISERVER_CLIENT_SIGNER } from "../kube/certificates_v1.ts";
import { formatFieldError } from "../kube/field_error.ts";
import { BUILTIN_SIGNERS, checkProfile } from "./profile.ts";
import { parseRequest } from "../csr/request.ts";
import { validateCsrCreate } from "../csr/validate.ts";
import { MASTERS_GROUP } from "../kube/user.ts";

/** The plugin's message for a request that would make its holder an administrator; undefined for any other. */
export function findSubjectRestriction(signerName: string, organizations: readonly string[]): string | undefined {
  if (signerName !== KUBE_APISERVER_CLIENT_SIGNER || !organizations.includes(MASTERS_GROUP)) return undefined;
  return `use of ${KUBE_APISERVER_CLIENT_SIGNER} signer with ${MASTERS_GROUP} group is not allowed`;
}

/**
 * Everything that the API, its admission or the signer would say no to, in their words; empty when nothing is known. Of
 * signers only the four that Kubernetes defines are known.
 */
export function findRefusals(csr: CertificateSigningRequest): readonly string[] {
  const { signerName, usages = [] } = csr.spec;
  const faults = validateCsrCreate(csr).map(formatFieldError);
  const request = parseRequest(csr.spec.request);
  if (!request.ok || faults.length > 0) return faults;
  const restriction = findSubjectRestriction(signerName, request.value.subject.organizations);
  const profile = BUILTIN_SIGNERS.get(signerName);
  const refusal = profile === undefined ? undefined : checkProfile(profile, request.value, usages);
  return [
    ...(restriction === undefined ? [] : [restriction]),
    ...(refusal === undefined ? [] : [`the signer ${signerName} refuses it: ${refusal}`]),
  ];
}
