/**
 * Signer names: their syntax (`pkg/apis/core/validation/names.go` ValidateSignerName), and advice for an approved CSR
 * without a certificate. The API does not list signers, so a client only knows that none has issued the certificate so
 * far.
 */
import { type FieldError, invalid, requiredField, tooLong } from "../kube/status/field_error.ts";
import {
  dns1123LabelErrors,
  dns1123SubdomainErrors,
  DNS_LABEL_MAX_LENGTH,
  DNS_SUBDOMAIN_MAX_LENGTH,
} from "../kube/names.ts";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../kube/kinds/constants.ts";
import { byteLength, goQuote } from "../lib/go_text.ts";
import { shellWord } from "../lib/printable.ts";
import { err, ok, type Result } from "../lib/result.ts";

/** The length of a domain, a slash, and a path that consists of a namespace, a dot and a name. */
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

/** Parses the name of a signer in a setting. */
export function parseSignerName(text: string): Result<string, string> {
  return validateSignerName("", text).length === 0 ? ok(text) : err("want domain/path, such as example.com/pods");
}

/** Validates the parts up to the first faulty one, because the messages do not identify the part. */
function findFirstBadPart(path: string, whole: string, validatePart: (part: string) => string[]): FieldError[] {
  for (const part of whole.split(".")) {
    const faults = validatePart(part);
    if (faults.length > 0) {
      return faults.map((fault) => invalid(path, whole, `validating label ${goQuote(part)}: ${fault}`));
    }
  }
  return [];
}

/** The signers of `tlsboot up` and, by default, of kube-controller-manager. */
const COMMON_SIGNERS: readonly string[] = [
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBELET_SERVING_SIGNER,
];

/** The time after which an approved CSR seems to have no signer, because a running one issues within moments. */
export const SIGNER_OVERDUE_MS = 10_000;

/** Advises a user when no signer issues a certificate. */
export function describeMissingSigner(signerName: string): string {
  const start = COMMON_SIGNERS.includes(signerName)
    ? "tlsboot up, tlsboot signer or kube-controller-manager signs for it"
    : `tlsboot signer --signer ${shellWord(signerName)}, or the program that the name belongs to, signs for it`;
  return `make sure that a signer for "${signerName}" runs and has a CA: ${start}`;
}
