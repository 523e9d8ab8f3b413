/** Texts about keys, certificates, their validity, usages and name constraints. */
import { toExtendedKeyUsageOids } from "../../core/pki/x509/usages.ts";
import { KEY_USAGES } from "../../core/kube/kinds/certificates_v1.ts";
import { formatHumanDuration } from "../../core/lib/duration.ts";
import { formatTime } from "../../core/kube/meta.ts";
import type { NameConstraints, NameSubtrees } from "../../core/pki/x509/name_constraints.ts";

/** The period in which a certificate is valid. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** Reports whether a period of validity has begun and has not ended. */
export function getValidityState(validity: Validity, now: Date): "valid" | "expired" | "not yet valid" {
  if (now < validity.notBefore) return "not yet valid";
  return now > validity.notAfter ? "expired" : "valid";
}

/** Formats a period of validity: `from … to …, valid for 364d more`. */
export function formatValidity(validity: Validity, now: Date): string {
  const range = `from ${formatTime(validity.notBefore)} to ${formatTime(validity.notAfter)}`;
  switch (getValidityState(validity, now)) {
    case "valid":
      return `${range}, valid for ${formatHumanDuration(validity.notAfter.getTime() - now.getTime())} more`;
    case "expired":
      return `${range}, expired ${formatHumanDuration(now.getTime() - validity.notAfter.getTime())} ago`;
    case "not yet valid":
      return `${range}, not valid for another ${formatHumanDuration(validity.notBefore.getTime() - now.getTime())}`;
  }
}

const NAME_OF: ReadonlyMap<string, string> = new Map(
  KEY_USAGES.flatMap((usage) => toExtendedKeyUsageOids([usage]).map((oid) => [oid, usage] as const)).reverse(),
);

/** Returns the name of an extended key usage in the API, such as `client auth`; the OID when the API has no name for it. */
export function getExtendedUsageName(oid: string): string {
  return NAME_OF.get(oid) ?? oid;
}

const KINDS: readonly (readonly [key: keyof NameSubtrees, what: string])[] = [
  ["dnsNames", "DNS names"],
  ["ipRanges", "IP addresses"],
  ["emailAddresses", "email addresses"],
  ["uris", "URIs of"],
];

/** Describes name constraints: `DNS names example.org and below; IP addresses 10.0.0.0/8; other kinds of names freely`. */
export function describeNameConstraints({ permitted, excluded }: NameConstraints): string {
  const free = KINDS.filter(([key]) => permitted[key].length === 0);
  const allowed = KINDS.filter(([key]) => permitted[key].length > 0).map(([key, what]) => {
    return `${what} ${permitted[key].map((subtree) => describeSubtree(key, subtree)).join(", ")}`;
  });
  const refused = KINDS.filter(([key]) => excluded[key].length > 0).map(([key, what]) => {
    return `not for ${what} ${excluded[key].map((subtree) => describeSubtree(key, subtree)).join(", ")}`;
  });
  const rest = free.length === 0 ? [] : [allowed.length === 0 ? "any name" : "other kinds of names freely"];
  return [...allowed, ...rest, ...refused].join("; ");
}

function describeSubtree(key: keyof NameSubtrees, subtree: string): string {
  if (subtree === "") return "of any kind";
  if (key === "ipRanges" || subtree.includes("@")) return subtree;
  return subtree.startsWith(".") ? `below ${subtree.slice(1)}` : `${subtree} and below`;
}
