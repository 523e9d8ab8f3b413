/** Predicts what Kubernetes refuses, so that a client can report it before it generates a key or sends a request. */
import type { CertificateSigningRequest } from "../kube/kinds/certificates_v1.ts";
import { formatFieldError } from "../kube/status/field_error.ts";
import type { KeyAlgorithmOptions } from "../pki/keys/key_algorithm.ts";
import { parseRequest } from "../request/parse_request.ts";
import { findSubjectRestriction, validateCsrCreate } from "../request/validate.ts";
import { BUILTIN_SIGNERS, checkProfile } from "./profile.ts";

/**
 * Finds the refusals of the API, its admission and the signer, in their own words; empty when none is predicted. Only the
 * rules of the four signers that Kubernetes defines are known.
 */
export function findRefusals(
  csr: CertificateSigningRequest,
  options: KeyAlgorithmOptions = {},
): readonly string[] {
  const { signerName, usages = [] } = csr.spec;
  const faults = validateCsrCreate(csr, options).map(formatFieldError);
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
