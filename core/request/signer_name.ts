/** The syntax of signer names (`pkg/apis/core/validation/names.go` ValidateSignerName). */
import { type FieldError, invalid, requiredField, tooLong } from "../kube/status/field_error.ts";
import {
  dns1123LabelErrors,
  dns1123SubdomainErrors,
  DNS_LABEL_MAX_LENGTH,
  DNS_SUBDOMAIN_MAX_LENGTH,
} from "../kube/names.ts";
import { byteLength, goQuote } from "../lib/quote.ts";

/** A domain, a slash, and a path that consists of a namespace, a dot and a name. */
const MAX_LENGTH = DNS_SUBDOMAIN_MAX_LENGTH + 1 + DNS_LABEL_MAX_LENGTH + 1 + DNS_SUBDOMAIN_MAX_LENGTH;

/** Validates a signer name `domain/path`; the list is empty when it is well-formed. `path` is the path of the field. */
export function validateSignerName(path: string, value: string): FieldError[] {
  if (value === "") return [requiredField(path)];
  const [domain, name, ...rest] = value.split("/");
  if (domain === undefined || name === undefined || rest.length > 0) {
    return [
      invalid(path, value, "must be a fully qualified domain and path of the form 'example.com/signer-name'"),
    ];
  }
  const errors: FieldError[] = [];
  if (byteLength(domain) > DNS_SUBDOMAIN_MAX_LENGTH) errors.push(tooLong(path, DNS_SUBDOMAIN_MAX_LENGTH));
  errors.push(...findFirstBadPart(path, domain, dns1123LabelErrors));
  if (!domain.includes(".")) {
    errors.push(invalid(path, domain, "should be a domain with at least two segments separated by dots"));
  }
  errors.push(...findFirstBadPart(path, name, dns1123SubdomainErrors));
  if (byteLength(value) > MAX_LENGTH) errors.push(tooLong(path, MAX_LENGTH));
  return errors;
}

/** Validates the parts up to the first faulty one, because the messages do not name the part that they concern. */
function findFirstBadPart(path: string, whole: string, faultsOf: (part: string) => string[]): FieldError[] {
  for (const part of whole.split(".")) {
    const faults = faultsOf(part);
    if (faults.length > 0) {
      return faults.map((fault) => invalid(path, whole, `validating label ${goQuote(part)}: ${fault}`));
    }
  }
  return [];
}
