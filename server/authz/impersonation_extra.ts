/** What may stand in the extra of a user that is impersonated in a constrained mode (`impersonation/mode.go`). */
import { formatFieldError, invalid } from "../../core/kube/field_error.ts";
import { dns1123SubdomainErrors } from "../../core/kube/names.ts";
import { quoteText } from "../../core/kube/quote.ts";

/** Apimachinery `validation.IsDomainPrefixedPath`. */
const PATH = /^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/;
const PATH_TEXT = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";

/** The first fault of the extra, or undefined. */
export function findExtraFault(extra: Readonly<Record<string, readonly string[]>>): string | undefined {
  for (const [key, values] of Object.entries(extra)) {
    if (key === "") return "impersonating the empty string key in extra is not allowed";
    const faults = findKeyFaults(key);
    if (faults.length > 0) {
      const text = faults.length === 1 ? faults[0] : `[${faults.join(", ")}]`;
      return `impersonating an invalid key in extra is not allowed: ${text}`;
    }
    if (key !== key.toLowerCase()) {
      return `impersonating a non-lowercase key in extra is not allowed: ${quoteText(key)}`;
    }
    if (values.includes("")) return "impersonating the empty string value in extra is not allowed";
  }
  return undefined;
}

function findKeyFaults(key: string): readonly string[] {
  const slash = key.indexOf("/");
  const fault = (value: string, text: string) => formatFieldError(invalid("extra.key", value, text));
  if (slash <= 0 || slash === key.length - 1) {
    return [fault(key, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  }
  const host = key.slice(0, slash);
  const path = key.slice(slash + 1);
  return [
    ...dns1123SubdomainErrors(host).map((text) => fault(host, text)),
    ...(PATH.test(path) ? [] : [fault(path, PATH_TEXT)]),
  ];
}
