/**
 * Plans the control plane's own certificates: their names and their replacement, at 70 % of their lifetime or when the
 * names or the CA change.
 */
import { isSameSet } from "../../lib/record.ts";
import { type CertificateFacts, verifyCertificateSignature } from "../x509/certificate.ts";
import { findIssuersFault } from "../x509/name_constraints.ts";
import { type AlternativeNames, NO_ALTERNATIVE_NAMES } from "../x509/subject_alternative_names.ts";

/** The part of its lifetime after which a certificate is replaced. */
const RENEW_AT = 0.7;

/** The names in a serving certificate. */
export interface ServingNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** Finds the reason to replace a certificate; undefined while it is valid. */
export function findRenewalReason(
  certificate: CertificateFacts,
  issuer: CertificateFacts,
  names: ServingNames | undefined,
  now: Date,
): string | undefined {
  if (!verifyCertificateSignature(certificate, issuer)) return "it is from another CA";
  if (now >= getRenewalDate(certificate)) return "it has reached 70 % of its lifetime";
  if (certificate.notBefore > now) return "it is not valid yet";
  if (names === undefined) return undefined;
  const same = isSameSet(certificate.dnsNames, names.dnsNames) && isSameSet(certificate.ipAddresses, names.ipAddresses);
  return same ? undefined : "its names have changed";
}

/** Returns the time at which a certificate reaches 70 % of its lifetime. */
export function getRenewalDate(certificate: CertificateFacts): Date {
  const start = certificate.notBefore.getTime();
  return new Date(start + (certificate.notAfter.getTime() - start) * RENEW_AT);
}

/** Splits the hosts of a server into DNS names and addresses; duplicates and empty ones are removed. */
export function planServingNames(hosts: readonly string[], isAddress: (host: string) => boolean): ServingNames {
  const known = [...new Set(hosts.map((host) => host.trim().toLowerCase()).filter((host) => host !== ""))];
  return {
    dnsNames: known.filter((host) => !isAddress(host)),
    // A server may listen on an unspecified address, but no client connects to it.
    ipAddresses: known.filter((host) => isAddress(host) && host !== "0.0.0.0" && host !== "::"),
  };
}

/** The permitted names, and the reason for each refused name. */
interface PermittedNames {
  readonly names: ServingNames;
  readonly refused: ReadonlyMap<string, string>;
}

/** Separates the names that a CA and its issuers permit, because one forbidden name invalidates the whole certificate. */
export function planPermittedNames(wanted: ServingNames, issuers: readonly CertificateFacts[]): PermittedNames {
  const refused = new Map<string, string>();
  const isPermitted = (name: string, names: AlternativeNames): boolean => {
    const fault = findIssuersFault(issuers, names);
    if (fault !== undefined) refused.set(name, fault);
    return fault === undefined;
  };
  const names = {
    dnsNames: wanted.dnsNames.filter((name) => isPermitted(name, { ...NO_ALTERNATIVE_NAMES, dnsNames: [name] })),
    ipAddresses: wanted.ipAddresses.filter((name) =>
      isPermitted(name, { ...NO_ALTERNATIVE_NAMES, ipAddresses: [name] })
    ),
  };
  return { names, refused };
}
