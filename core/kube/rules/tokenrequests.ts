/** The rules of token requests (`pkg/apis/authentication/validation/validation.go`). */
import type { BoundObjectReference, TokenRequest, TokenRequestSpec } from "../kinds/authentication_v1.ts";
import { type FieldError, invalid, notSupported } from "../status/field_error.ts";
import { subdomainNameErrors } from "../names.ts";

const MIN_SECONDS = 600;
const MAX_SECONDS = 2 ** 32;
const API_GROUPS = "admissionReviewAPIGroups";

/** Validates a token request that has its defaults. */
export function validateTokenRequest({ spec }: TokenRequest): FieldError[] {
  const { audiences, boundObjectRef, attestations = {} } = spec;
  const expirationSeconds = spec.expirationSeconds ?? 0;
  const errors: FieldError[] = [];
  const refuse = (why: string): void => void errors.push(invalid("spec.expirationSeconds", expirationSeconds, why));
  if (expirationSeconds < MIN_SECONDS) refuse("may not specify a duration less than 10 minutes");
  if (expirationSeconds > MAX_SECONDS) refuse("may not specify a duration larger than 2^32 seconds");
  if (isWebhookReference(boundObjectRef)) {
    if ((audiences ?? []).length !== 1) {
      errors.push(invalid("spec.audiences", audiences ?? [], "must be length 1 when bound to a webhook config"));
    }
    return [...errors, ...validateAttestations(spec.attestations)];
  }
  if (Object.keys(attestations).length === 0) return errors;
  const why = "attestations may only be specified with a webhook bound object reference";
  return [invalid("spec.attestations", attestations, why)];
}

function isWebhookReference(reference: BoundObjectReference | null | undefined): boolean {
  return reference?.apiVersion === "admissionregistration.k8s.io/v1" &&
    (reference.kind === "ValidatingWebhookConfiguration" || reference.kind === "MutatingWebhookConfiguration");
}

function validateAttestations(attestations: TokenRequestSpec["attestations"]): FieldError[] {
  const [first, ...more] = Object.entries(attestations ?? {});
  if (first === undefined || more.length > 0) {
    const why = "webhook bound requests require exactly one admissionReviewAPIGroups attestation";
    return [invalid("spec.attestations", attestations ?? null, why)];
  }
  const [key, values] = first;
  const path = `spec.attestations[${key}]`;
  if (key !== API_GROUPS) return [notSupported(path, key, [API_GROUPS])];
  const [group] = values;
  if (group === undefined || values.length !== 1) return [invalid(path, values, "must specify a single value")];
  if (group === "") return [invalid(`${path}[0]`, group, "may not be an empty string")];
  if (group === "*") return [];
  return subdomainNameErrors(group, false).map((fault) =>
    invalid(`${path}[0]`, group, `must specify a valid API Group: ${fault}`)
  );
}
